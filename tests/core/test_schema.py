from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
import pytest
from pydantic import Field, ValidationError, model_validator

from capsmith.core.schema import Settings, explain
from capsmith.core.spelling import nearest
from capsmith.decoding.config import BeamConfig, SampleConfig


class Cat(Settings):
    """A cat."""

    type: Literal["cat"] = "cat"
    lives: int = Field(default=9, ge=1)
    """How many are left."""


class Dog(Settings):
    """A dog."""

    type: Literal["dog"] = "dog"
    name: str

    @model_validator(mode="after")
    def _good(self):
        if self.name == "bad":
            raise ValueError("there are no bad dogs")
        return self


class House(Settings):
    """A house."""

    pet: Annotated[Cat | Dog, Field(discriminator="type")] = Cat()
    spare: Cat | None = None
    size: int | tuple[int, int] = 1
    rooms: tuple[int, ...] = ()
    home: Path = Path(".")
    cat: bool = False


def lines(**values):
    with pytest.raises(ValidationError) as caught:
        House(**values)
    return explain(caught.value, House)


def test_settings_are_frozen_and_closed():
    with pytest.raises(ValidationError):
        Cat().lives = 3
    with pytest.raises(ValidationError):
        Cat(wings=2)
    with pytest.raises(ValidationError):
        Cat(lives=float("inf"))
    assert Cat.model_fields["lives"].description == "How many are left."


def test_defaults_are_checked_too():
    class Wrong(Settings):
        """Its own default is not allowed."""

        share: float = Field(default=2, le=1)

    with pytest.raises(ValidationError):
        Wrong()


def test_nearest_suggests_a_name():
    assert nearest("untis", ["type", "units"]) == "; did you mean 'units'?"
    assert nearest("zzz", ["type", "units"]) == ""
    assert nearest("", []) == ""


def test_paths_leave_out_the_type_of_a_union():
    assert lines(pet={"type": "cat", "lives": 0}) == [
        "pet.lives: input should be greater than or equal to 1 (given: 0)"
    ]
    assert lines(pet={"type": "dog"}) == ["pet.name: required"]


def test_a_field_may_have_the_name_of_a_type():
    assert lines(cat="maybe")[0].startswith("cat: ")


def test_unknown_keys_list_the_accepted_ones():
    assert lines(pet={"type": "cat", "live": 3}) == [
        "pet.live: unknown key; did you mean 'lives'? (pet takes: type, lives)"
    ]
    assert lines(spare={"colour": 1})[0] == "spare.colour: unknown key (spare takes: type, lives)"
    assert lines(pets=1)[0].startswith("pets: unknown key; did you mean 'pet'? (config takes: pet, spare,")


def test_wrong_types_are_reported():
    assert lines(pet={"type": "cow"}) == ["pet.type: 'cow' is not known (one of: cat, dog)"]
    assert lines(pet={"type": "dgo"}) == ["pet.type: 'dgo' is not known; did you mean 'dog'? (one of: cat, dog)"]
    assert lines(pet={"name": "x"}) == ["pet.type: required"]
    assert lines(pet=3) == ["pet: a section of keys and values is needed (given: 3)"]
    assert lines(spare=3) == ["spare: a section of keys and values is needed (given: 3)"]


def test_a_value_that_fits_no_type_of_a_union_is_one_error():
    assert lines(size="big") == [
        "size: input should be a valid integer, unable to parse string as an integer (given: 'big'), "
        "or input should be a valid tuple (given: 'big')"
    ]
    assert len(lines(size=(1, "x"))) == 1


def test_list_items_are_named_by_index():
    assert lines(rooms=[1, "x"])[0].startswith("rooms.1: input should be a valid integer")


def test_messages_of_validators_are_unchanged():
    assert lines(pet={"type": "dog", "name": "bad"}) == ["pet: there are no bad dogs"]


def test_long_values_are_cut():
    (line,) = lines(rooms="x" * 1000)
    assert len(line) < 160


def test_a_tilde_expands_to_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/x")
    assert House(home="~/a").home == Path("/home/x/a")
    assert House(home="a~").home == Path("a~")


class _Renamed(Settings):
    renamed: ClassVar[dict[str, str]] = {"old": "new", "gone": "left out since two stages are a list"}
    new: int = 1


class _Outer(Settings):
    part: _Renamed = _Renamed()


@pytest.mark.parametrize(
    ("key", "line"),
    [("old", "part.old is now called part.new"), ("gone", "part.gone: left out since two stages are a list")],
)
def test_a_renamed_key_names_its_successor(key, line):
    with pytest.raises(ValidationError) as caught:
        _Outer.model_validate({"part": {key: 3}})
    assert explain(caught.value, _Outer) == [line]


def test_a_section_is_part_of_every_path():
    with pytest.raises(ValidationError) as caught:
        BeamConfig.model_validate({"beam_size": 0, "grups": 2})
    size, key = explain(caught.value, BeamConfig, "decoding")
    assert size.startswith("decoding.beam_size: ") and "(given: 0)" in size
    assert key.startswith("decoding.grups: unknown key; did you mean 'groups'? (decoding takes: ")
    with pytest.raises(ValidationError) as caught:
        BeamConfig(min_length=40)
    assert explain(caught.value, BeamConfig, "decoding") == ["decoding: min_length 40 is more than max_length 30"]


def test_a_number_of_more_digits_than_python_converts():
    for field in ("beam_size", "top_k", "length_penalty", "exclude_file"):
        kind = SampleConfig if field == "top_k" else BeamConfig
        with pytest.raises(ValidationError) as caught:
            kind.model_validate({field: 10**5000})
        (line,) = explain(caught.value, kind)
        assert line.startswith(f"{field}: ") and len(line) < 200


def test_an_array_is_no_path():
    with pytest.raises(ValidationError) as caught:
        BeamConfig.model_validate({"exclude_file": np.zeros(2)})
    assert explain(caught.value, BeamConfig) == ["exclude_file: input is not a valid path (given: array([0., 0.]))"]
