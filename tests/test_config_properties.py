"""Property tests: any valid config survives saving and loading, and any invalid one has one line per error."""

import copy
import json
import math
import random
import re
import string
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
import yaml
from annotated_types import Ge, Gt, Le, Lt
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from capsmith.config import DATASETS, DECODERS, DECODINGS, Config, load_config, save_config
from capsmith.core.errors import ConfigError
from capsmith.core.overrides import apply_override
from capsmith.core.registry import Registry
from capsmith.core.schema import models_of
from capsmith.core.yaml_io import dump_yaml
from capsmith.metrics.scorer import METRICS
from capsmith.vision.encoders import ENCODERS
from tests.mistakes import LONGEST_LINE

SLOW = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture],
)
LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters=map(chr, range(32)))
TEXTS = st.one_of(
    st.text(LETTERS, max_size=8),
    st.sampled_from(["", "yes", "no", "null", "~", "1e-3", "0x1", "1_0", "a: b", "- a", "#", "it's", '"', "{x}", "*a"]),
    st.sampled_from([" a ", "a\u2028b", "\x85", "\ufeff", "2024-01-01", "=", "1:30", "é", "狗", "\U0001f600"]),
)
PATHS = TEXTS.map(lambda text: str(Path(text.replace("~", "-"))))  # the home folder is tested elsewhere
NAMED: dict[str, st.SearchStrategy[Any]] = {  # constraints that the field types do not express
    "EncoderConfig.type": st.sampled_from(sorted(ENCODERS)),
    "EncoderConfig.image_size": st.none() | st.integers(8, 4096) | st.tuples(*[st.integers(8, 4096)] * 2).map(list),
    "EncoderConfig.weights": TEXTS | TEXTS.map(lambda text: text + ".keras"),
    "TrainingConfig.metric": st.sampled_from(["cider", "bleu4", "rouge"]),
    "SplitConfig.groups": st.lists(st.lists(TEXTS, min_size=1, max_size=3), max_size=3),  # empty groups are dropped
    "Config.data": st.deferred(lambda: sections(DATASETS)),
    "Config.decoder": st.deferred(lambda: sections(DECODERS)),
    "Config.decoding": st.deferred(lambda: sections(DECODINGS)),
    "EvaluationConfig.metrics": st.lists(st.sampled_from(sorted(METRICS)), max_size=3),
}


def values_of(annotation: Any, limits: Sequence[Any]) -> st.SearchStrategy[Any]:
    """Draws a YAML value for a field of this type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return section(annotation)
    kind, inner = get_origin(annotation), get_args(annotation)
    if kind is Annotated:
        return values_of(inner[0], (*inner[1:], *limits))
    if kind in (Union, types.UnionType):
        return st.one_of([values_of(one, limits) for one in inner])
    if kind is Literal:
        return st.sampled_from(inner)
    if kind is tuple and inner[-1] is Ellipsis:
        return st.lists(values_of(inner[0], ()), max_size=3)
    if kind is tuple:
        return st.tuples(*(values_of(one, ()) for one in inner)).map(list)
    low = max([m.ge for m in limits if isinstance(m, Ge)] + [m.gt for m in limits if isinstance(m, Gt)], default=None)
    high = min([m.le for m in limits if isinstance(m, Le)] + [m.lt for m in limits if isinstance(m, Lt)], default=None)
    if annotation is int:
        wide = 2**53 - 1  # the range of any setting
        return st.integers(-wide if low is None else low, wide if high is None else high).filter(
            lambda n: n not in _open(limits)
        )
    if annotation is float:
        return st.floats(low, high, allow_nan=False, allow_infinity=False).filter(lambda n: n not in _open(limits))
    return {bool: st.booleans(), str: TEXTS, Path: PATHS, type(None): st.none()}[annotation]


def _open(limits: Sequence[Any]) -> list[Any]:
    return [m.gt for m in limits if isinstance(m, Gt)] + [m.lt for m in limits if isinstance(m, Lt)]


def section(model: type[BaseModel]) -> st.SearchStrategy[dict[str, Any]]:
    """Draws a valid section: all required keys and some of the others."""
    fields = {
        name: NAMED[key]
        if (key := f"{model.__name__}.{name}") in NAMED
        else values_of(field.annotation, field.metadata)
        for name, field in model.model_fields.items()
    }
    always = {name for name, field in model.model_fields.items() if field.is_required() or name == "type"}

    def some(names: set[str]) -> st.SearchStrategy[dict[str, Any]]:
        return st.fixed_dictionaries({name: fields[name] for name in sorted(always | names)})

    rest = sorted(set(fields) - always)
    drawn = st.sets(st.sampled_from(rest), max_size=5).flatmap(some) if rest else some(set())
    return drawn if model is Config else drawn.filter(lambda given: _valid(model, given))


def sections(registry: Registry) -> st.SearchStrategy[dict[str, Any]]:
    """Draws a valid section of any registered type."""
    return st.one_of([section(settings) for settings in registry.settings.values()])


def _valid(model: type[BaseModel], given: dict[str, Any]) -> bool:
    try:
        model.model_validate(given)
    except ValidationError:
        return False
    return True


VALID = section(Config).filter(lambda given: _valid(Config, given))


def message(given: Any, saved: Any, where: str = "") -> int:
    """Compares given values with those in a file; returns the number of compared values."""
    if isinstance(given, dict):
        return sum(message(value, saved[key], f"{where}.{key}") for key, value in given.items())
    if isinstance(given, list) and isinstance(saved, list):
        assert len(given) == len(saved), where
        return sum(message(*pair, where) for pair in zip(given, saved, strict=True))
    assert (given, isinstance(given, bool)) == (saved, isinstance(saved, bool)), where
    return 1


MODELS = [result for field in Config.model_fields.values() for result in models_of(field) if result is not Config]


# --- valid configs ----------------------------------------------------------------------------------------------------


@SLOW
@given(VALID)
def test_valid_settings_survive_saving_and_loading(tmp_path_factory, given_values):
    path = tmp_path_factory.getbasetemp() / "config.yaml"
    config = load_config(given_values)
    save_config(config, path)
    assert load_config(path) == config
    with path.open(encoding="utf-8") as file:
        saved = yaml.safe_load(file)  # by another loader than capsmith's
    assert message(given_values, saved) >= 2
    save_config(load_config(path), again := path.with_name("again.yaml"))
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("model", [Config, *MODELS], ids=lambda model: model.__name__)
def test_every_field_is_drawn(model):
    """The control: the property above covers every setting."""
    seen: set[str] = set()

    @settings(SLOW, max_examples=500, derandomize=True, database=None)
    @given(section(model))
    def draw(given_values):
        seen.update(given_values)

    draw()
    assert seen == set(model.model_fields)


# --- --set ------------------------------------------------------------------------------------------------------------

PRINTED = st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters="\ufeff\ufffe\uffff")
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(PRINTED | st.sampled_from("\n\t\r\"\\':,#{}[]&*!|>%@`- "), max_size=12)
)
NESTED = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(PRINTED, max_size=5), inner, max_size=3),
    max_leaves=8,
)
WORDS_OF_YAML = {"yes", "no", "on", "off", "true", "false", "null", "y", "n"}


def put(text: str) -> Any:
    return apply_override({"a": {"c": 1}}, f"a.b={text}", {})["a"]["b"]


def same(one: Any, other: Any) -> bool:
    """Whether values are equal with equal types: 1, 1.0 and True are three values."""
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


@settings(max_examples=200, deadline=None)
@given(NESTED)
def test_set_accepts_json(value):
    _writable_as_yaml(value)
    assert same(put(json.dumps(value, ensure_ascii=False)), value)


@settings(max_examples=100, deadline=None)
@given(NESTED)
def test_set_accepts_yaml_of_another_library(value):
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=math.inf)
    assume(same(yaml.safe_load(text), value))
    assume(not re.search(r"\b\d[\d_]*e[-+]?\d", text, re.IGNORECASE))  # plain 1e3, a text to PyYAML, is a number here
    assert same(put(text), value)


def _writable_as_yaml(value: Any) -> None:
    """YAML accepts fewer unescaped characters than JSON."""
    text = json.dumps(value, ensure_ascii=False)
    assume(not yaml.reader.Reader.NON_PRINTABLE.search(text))


@settings(max_examples=200, deadline=None)
@given(st.text(PRINTED, max_size=15))
@example("it's: 'quoted', \"twice\" # no comment")
def test_set_accepts_a_quoted_string(text):
    _writable_as_yaml(text)
    assert put("'" + text.replace("'", "''") + "'") == text


@settings(max_examples=200, deadline=None)
@given(st.from_regex(r"[A-Za-zä狗/_][A-Za-z0-9é狗'\",/_.=+-]{0,6}(:[a-z/\\=,'0-9]{1,4}){0,2}", fullmatch=True))
@example("C:\\photos\\a,b")
@example("https://example.org/a=b,c:8080")
@example("it's")
def test_set_accepts_a_plain_word(text):
    assume(text.lower() not in WORDS_OF_YAML)
    assert put(text) == text
    assert load_config(BASE, [f"evaluation.detections={text}"]).evaluation.detections == Path(text)


@settings(max_examples=200, deadline=None)
@given(st.floats(1e-300, 1e300) | st.integers(1, 10**20))
@example(1e-3)
@example(1e22)
def test_set_accepts_usual_spellings_of_numbers(number):
    for text in {repr(number), f"{number:e}", f"{number:.17E}", f"+{number!r}"}:
        result = put(text)
        assert isinstance(result, int | float) and result == float(text) if "." in text or "e" in text else int(text)
        assert load_config(BASE, [f"training.learning_rate={text}"]).training.learning_rate == float(text)


# --- invalid configs --------------------------------------------------------------------------------------------------

BASE = {"data": {"type": "folder", "root": "images"}, "decoder": {"type": "inject"}}
WHOLE = load_config(
    {**BASE, "decoding": {"type": "beam"}, "ensemble": [{"run": "r", "config": "c.yaml"}]},
    ["encoder=[{type: vgg16}, {type: resnet50, pretrain_on_words: {output: kept}}]"],
).model_dump(mode="json")
JUNK = st.one_of(
    st.sampled_from([None, True, -1, 0, 2**70, -0.5, 1e300, math.inf, math.nan, "", "x" * 20_000, "\n\x1b[2J", [], {}]),
    st.sampled_from([[[[]]], {"type": []}, {"type": {"type": "beam"}}, {"a": {"b": {}}}, "a\nb", [None], [{}], ["x"]]),
    st.integers(1, 60).map(lambda depth: json.loads("[" * depth + "]" * depth)),
    st.integers(1, 60).map(lambda depth: json.loads('{"a":' * depth + "1" + "}" * depth)),
    st.lists(st.integers(), min_size=500, max_size=600),
    TEXTS,
    st.dates(),
    st.binary(max_size=5),
    NESTED,
)
KEYS = st.sampled_from(["untis", "typ", "", " ", "a.b", "no", "1", "merge", "beam", "(one)", "type"]) | st.sampled_from(
    ["\x1b[2J", "x" * 5000, "a\nb", "\u2028"]
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Returns the paths of all values below."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [result for key, inner in pairs for result in ((*path, key), *places(inner, (*path, key)))]


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """Draws a valid config with one to four mutations."""
    values = copy.deepcopy(WHOLE)
    for _ in range(draw(st.integers(1, 4))):
        *way, last = draw(st.sampled_from(places(values) or [("data",)]))
        place: Any = values
        for key in way:
            place = place[key]
        change = draw(st.sampled_from(["value", "key", "more", "less", "type"]))
        if change == "key" and isinstance(place, dict) and last in place:
            place[draw(KEYS)] = place.pop(last)
        elif change == "more" and isinstance(place, dict):
            place[draw(KEYS)] = copy.deepcopy(draw(JUNK))
        elif change == "less" and isinstance(place, dict):
            place.pop(last, None)
        elif change == "type" and isinstance(place, dict) and "type" in place:
            place["type"] = draw(TEXTS | st.sampled_from(["merge", "aoa", "beam", "sample", "scenes", "vgg16"]))
        else:
            place[last] = copy.deepcopy(draw(JUNK))
    return values


def check_message(error: ConfigError) -> int:
    """Asserts one line per error, each with its key; returns the number of errors."""
    lines = str(error).split("\n")
    if len(lines) > 1:
        assert lines[0].endswith(f"has {len(lines) - 1} errors:")
        assert all(line.startswith("  ") and ": " in line for line in lines[1:])
        lines = lines[1:]
    assert all(line.strip() for line in lines)
    assert max(map(len, lines)) <= LONGEST_LINE, max(lines, key=len)[:2000]
    return len(lines)


@settings(SLOW, max_examples=150)
@given(mutated())
def test_a_mutated_config_loads_or_lists_its_errors(tmp_path_factory, values):
    path = tmp_path_factory.getbasetemp() / "mutated.yaml"
    path.write_text(dump_yaml(values), encoding="utf-8")
    loaded = []
    for source in (path, values):
        try:
            loaded.append(load_config(source))
        except ConfigError as error:
            check_message(error)
    if len(loaded) == 2:  # a date or bytes are no JSON, but no field takes them either
        assert loaded[0] == loaded[1]
        save_config(loaded[0], path)
        assert load_config(path) == loaded[0]


def test_most_mutations_are_refused_with_one_line_each():
    """The control: most mutations are errors, and several mutations give several lines."""
    counts = []

    @settings(SLOW, max_examples=500, derandomize=True, database=None)
    @given(mutated())
    def draw(values):
        try:
            load_config(values)
            counts.append(0)
        except ConfigError as error:
            counts.append(check_message(error))

    draw()
    assert counts.count(0) < len(counts) / 2 and max(counts) >= 3


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_mutated_text_loads_or_lists_its_errors(tmp_path_factory, seed, changes):
    path = tmp_path_factory.getbasetemp() / "text.yaml"
    rng, text = random.Random(seed), bytearray(TEXT)
    for _ in range(changes):
        at = rng.randrange(len(text))
        new = rng.choice([b"", bytes([rng.randrange(256)]), rng.choice(string.punctuation).encode(), b"\n", b"  "])
        text[at : at + rng.randrange(4)] = new
    path.write_bytes(text)
    try:
        load_config(path)
    except ConfigError as error:
        check_message(error)


TEXT = yaml.safe_dump(WHOLE).encode()


SECTIONS = st.sampled_from(
    ["", "a", "data", "root", "encoder", "0", "1", "-1", "²", "٣", "9" * 5000, "adapt", "type", "ensemble"]
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(SECTIONS | TEXTS, min_size=1, max_size=4).map(".".join),
    st.sampled_from(["", "=", "= "]),
    st.text(st.sampled_from("[]{}:,'\"&*!|>%@`#-? \n\t01eé~") | LETTERS, max_size=10) | st.just("[" * 400),
)
def test_any_override_loads_or_lists_its_errors(path, equals, value):
    try:
        load_config(WHOLE, [path + equals + value])
    except ConfigError as error:
        check_message(error)
