"""Plain settings take the same values as pydantic's, convert them alike, and report the same errors."""

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from capsmith.core.errors import ConfigError
from capsmith.core.schema import explain
from capsmith.data.text.config import TextConfig
from capsmith.data.text.plain_settings import text_from
from capsmith.decoding.config import DECODINGS, BeamConfig, GreedyConfig
from capsmith.decoding.limits import images_at_once
from capsmith.decoding.plain_settings import PlainBeam, changed, settings_from
from capsmith.decoding.rerank.config import MbrConfig
from capsmith.models.decoding_argument import chosen_decoding

INTEGERS = [0, -1, 1, 5, True, False, 10_000, 10_001, 2**32 - 1, 2**32, 2**53 - 1, 2**53, 2**63, -(2**63), 10**30]
FLOATS = [2.0, 2.5, -0.0, 1e-5, 1e-4, 0.001, 1e4, 1e6, 1e19, 1e300, float("inf"), float("nan")]
TEXTS = [
    "5",
    " 5 ",
    "5.0",
    "5.5",
    "5.",
    "-5",
    "+5",
    "007",
    "1_000",
    "1__0",
    "_1",
    "1e3",
    "0x5",
    "inf",
    "nan",
    "٥",
    "１",
]
WORDS = ["", "x", "true", "YES", "off", "t", "members", "a photo of", "dog|puppy", "a\x07b", "\udcff", "w" * 1001, "~"]
OTHERS = [
    None,
    [],
    {},
    (1,),
    ["a", "b"],
    ["a", 3],
    ["a\nb"],
    {"a"},
    object,
    3 + 0j,
    b"5",
    b"x",
    b"\xff",
    bytearray(b"5"),
]
NUMBERS = [np.int64(5), np.float32(2.0), np.float64(2.5), np.bool_(True), np.array(5), np.array([1, 2])]
EXACT = [Decimal("5"), Decimal("5.5"), Fraction(5), Fraction(1, 2), Path("words.txt"), Path("a\nb")]
VALUES = [*INTEGERS, 10**5000, *FLOATS, *TEXTS, *WORDS, *OTHERS, *NUMBERS, *EXACT]


def outcome(call, *arguments, **settings):
    """Returns the values of the settings that a call returns, or its error."""
    try:
        result = call(*arguments, **settings)
    except (ConfigError, TypeError) as error:
        return type(error), str(error)
    return {name: (type(value), value) for name, value in result.model_dump().items()}


def by_pydantic(own, decoding=None, **settings):
    return chosen_decoding(decoding, own, settings)


FIELDS = [(name, field) for name, kind in DECODINGS.settings.items() for field in kind.model_fields]


@pytest.mark.parametrize(("kind", "field"), FIELDS)
def test_a_field_takes_the_values_that_pydantic_takes(kind, field):
    own, plain = DECODINGS.settings[kind](), settings_from({"type": kind})
    for value in VALUES:
        assert outcome(changed, plain, **{field: value}) == outcome(by_pydantic, own, **{field: value}), value


@pytest.mark.parametrize("field", MbrConfig.model_fields)
def test_a_field_of_the_reranker_takes_the_values_that_pydantic_takes(field):
    own, plain = BeamConfig(), settings_from({"type": "beam"})
    for value in VALUES:
        rerank = {"type": "mbr", field: value}
        assert outcome(changed, plain, rerank=rerank) == outcome(by_pydantic, own, rerank=rerank), value


@pytest.mark.parametrize("field", TextConfig.model_fields)
def test_a_field_of_the_text_section(field):
    def by_pydantic(values):
        try:
            return TextConfig.model_validate(values)
        except ValidationError as error:
            raise ConfigError("; ".join(explain(error, TextConfig, "text"))) from None

    for value in VALUES:
        assert outcome(text_from, {field: value}) == outcome(by_pydantic, {field: value}), value


CHANGES = [
    {},
    {"beam_size": 3},
    {"beam_sise": 3},
    {"samples": 3, "top_p": 0.9},
    {"samples": 3, "beam_size": 3},
    {"max_length": 3, "min_length": 5},
    {"beam_size": 5, "groups": 2},
    {"groups": 2, "min_length": 40},
    {"beam_size": 10_000, "max_length": 10_000},
    {"beam_size": 0, "groups": 0, "foo": 1},
    {"n": 600, "max_length": 10_000},
    {"include": "dog", "exclude": ["cat"], "prefix": "a photo of"},
    {"rerank": None},
    {"rerank": "mbr"},
    {"rerank": []},
    {"rerank": {}},
    {"rerank": {"type": "MBR", "samples": 3}},
    {"rerank": {"type": "x"}},
    {"rerank": {"type": None}},
    {"rerank": {5: 3}},
    {"rerank": {"samples": -1, "smaples": 3, "skip_identical": "maybe"}, "min_length": -1},
    {"rerank": {"utility_weight": 0, "knn_weight": 0, "log_prob_weight": 0}},
    {"rerank": {"samples": 10_000}, "max_length": 9_999},
    {"rerank": MbrConfig(samples=7)},
    {"type": "sample"},
]


@pytest.mark.parametrize("decoding", [None, "greedy", "beam", "sample", "baem", "consensus", "", 5])
@pytest.mark.parametrize("own", ["greedy", "beam", "sample"])
def test_a_call_chooses_the_search_that_pydantic_chooses(own, decoding):
    values = {"type": own, "max_length": 20, "rerank": {"type": "mbr", "samples": 4}}
    pydantic, plain = DECODINGS.settings[own](**values), settings_from(values)
    for changes in CHANGES:
        ours = outcome(changed, plain, decoding, **changes)
        assert ours == outcome(by_pydantic, pydantic, decoding, **changes), changes


def test_settings_may_be_passed_for_the_decoding():
    own = settings_from({"type": "greedy"})
    assert changed(own, own) == own and changed(own) is own
    three = changed(own, settings_from({"type": "beam", "no_repeat": 3}), beam_size=3)
    assert (three.type, three.beam_size, three.no_repeat) == ("beam", 3, 3)
    assert changed(own, BeamConfig(beam_size=3)) == settings_from({"type": "beam", "beam_size": 3})


def test_a_saved_section_is_read_back():
    own = BeamConfig(beam_size=6, groups=2, n=4, include=("a dog",), exclude_file="words.txt", rerank=MbrConfig(seed=3))
    saved = json.loads(own.model_dump_json())
    plain = settings_from(saved)
    assert plain.model_dump() == own.model_dump()
    assert plain.all_rows == own.all_rows == {"beam_size": 8, "rerank.samples": 60}
    assert plain.requires_caption_index and not settings_from({"type": "beam"}).requires_caption_index
    assert images_at_once(plain, 30_000, 10**6) == images_at_once(own, 30_000, 10**6)


@pytest.mark.parametrize("values", [{}, {"type": "gated"}, {"type": None}, {"type": ["beam"]}])
def test_a_search_of_a_plugin_is_an_error(values):
    with pytest.raises(ConfigError, match=r"decoding\.type: .* \(one of: greedy, beam, sample\)"):
        settings_from(values)


def test_settings_are_frozen_and_hashable():
    one, other = (settings_from({"type": "beam", "exclude": ["a"], "rerank": {}}) for _ in range(2))
    assert one == other and hash(one) == hash(other) and isinstance(one, PlainBeam)
    with pytest.raises(AttributeError, match="frozen"):
        one.beam_size = 3
    with pytest.raises(AttributeError, match="frozen"):
        del one.beam_size
    with pytest.raises(AttributeError):
        one.samples  # noqa: B018
    assert one != one.model_copy(update={"beam_size": 3}) and one != GreedyConfig()
    assert "beam_size=5" in repr(one)
