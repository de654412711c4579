import subprocess
import sys
from typing import Annotated, Literal

import pytest
from pydantic import TypeAdapter, ValidationError

from capsmith.core.registry import OneOf, Registry
from capsmith.core.schema import Settings, models_of


def things():
    """Returns a registry of two things, whose implementations are in the standard library."""
    registry = Registry("thing")

    @registry.register("collections:namedtuple")
    class Pair(Settings):
        """Two values.

        More about them.
        """

        type: Literal["pair"] = "pair"

    @registry.register("fractions:Fraction")
    class Share(Settings):
        """One over another."""

        type: Literal["share"] = "share"
        of: int = 2

    return registry, Pair, Share


def test_names_and_descriptions():
    registry, pair, share = things()
    assert registry.names() == ["pair", "share"]
    assert registry.describe() == {"pair": "Two values.", "share": "One over another."}
    assert registry.settings == {"pair": pair, "share": share}


def test_builds_the_component_that_a_setting_names():
    registry = Registry("text")

    @registry.register("builtins:repr")
    class Plain(Settings):
        """Itself."""

        type: Literal["plain"] = "plain"

    assert registry.target(Plain()) is repr
    assert registry.build(Plain()) == repr(Plain())


def test_arguments_follow_the_settings():
    registry = Registry("call")

    @registry.register("builtins:dict")
    class Pairs(Settings):
        """Takes pairs: a settings object yields its fields as pairs."""

        type: Literal["pairs"] = "pairs"

    assert registry.build(Pairs(), extra=3) == {"type": "pairs", "extra": 3}


def test_a_union_is_discriminated_by_type():
    registry, pair, share = things()
    union = TypeAdapter(registry.union())
    assert union.validate_python({"type": "share", "of": 5}) == share(of=5)
    assert isinstance(union.validate_python({"type": "pair"}), pair)
    for wrong in ({"type": "pair", "of": 5}, {"type": "nothing"}, {}):
        with pytest.raises(ValidationError):
            union.validate_python(wrong)


def test_a_name_is_registered_once():
    registry, _, _ = things()
    with pytest.raises(ValueError, match="'pair'"):

        @registry.register("builtins:int")
        class Again(Settings):
            """Taken."""

            type: Literal["pair"] = "pair"


@pytest.mark.parametrize("word", ["pair", "Pair", "PAIR", "p-a_i.r", " pair "])
def test_names_match_regardless_of_case_dashes_and_underscores(word):
    registry, pair, _ = things()
    assert registry.settings.find(word) == "pair"
    assert isinstance(registry.validate({"type": word}), pair)


@pytest.mark.parametrize("word", ["", "-", "pairs", "pa", "сhare"])
def test_an_unknown_name_is_not_found(word):
    registry, _, _ = things()
    assert registry.settings.find(word) is None


def test_a_late_section_uses_the_registry_at_validation_time():
    """Types registered or unregistered after the model was defined are respected."""
    registry, pair, _ = things()

    class Box(Settings):
        """A box."""

        thing: Annotated[Settings, OneOf(registry)]

    with pytest.raises(ValidationError, match="union_tag_invalid"):
        Box(thing={"type": "late"})

    @registry.register(dict)
    class Late(Settings):
        """Late."""

        type: Literal["late"] = "late"

    assert Box(thing={"type": "late"}).thing == Late()
    assert Box(thing={"type": "late"}).model_dump(mode="json") == {"thing": {"type": "late"}}
    assert models_of(Box.model_fields["thing"]) == [*registry.settings.values()]
    registry.settings.remove("late")
    with pytest.raises(ValidationError, match="union_tag_invalid"):
        Box(thing={"type": "late"})
    assert isinstance(Box(thing={"type": "pair"}).thing, pair)


LIGHT = (
    "capsmith capsmith.cli capsmith.config capsmith.core.registry capsmith.core.schema capsmith.core.files "
    "capsmith.decoding.search capsmith.data.text.cleaning capsmith.data.text.tokens "
    "capsmith.data.text.vocabulary capsmith.data.text.glove capsmith.metrics capsmith.metrics.scorer "
    "capsmith.data capsmith.data.flickr8k capsmith.data.scenes.reader capsmith.vision.store "
    "capsmith.vision.extraction capsmith.vision.fingerprint capsmith.models.decoders.config "
    "capsmith.training.config capsmith.training.history capsmith.training.schedules capsmith.data.prepare "
    "capsmith.evaluation.report capsmith.evaluation.plots "
).split()


def test_these_modules_load_no_keras():
    """Config, text, metrics, readers, search and the feature store do not import a neural network library."""
    code = (
        "import sys, importlib\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    found = {'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules)\n"
        "    assert not found, f'{name} loads {found}'\n"
        "import capsmith.models.caption_model\n"
        "assert 'keras' in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *LIGHT], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-500:]
