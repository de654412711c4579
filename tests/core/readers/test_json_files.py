"""JSON that Python's parser accepts is accepted, except harmful content."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capsmith.core.errors import CheckpointError
from capsmith.core.readers.file_schema import FileSchema
from capsmith.core.readers.json_files import MAX_DEPTH, parse_json, read_json

TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(['"', "\\", '\\"', "[", "]}", "[[", '"['])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=30,
)


@settings(max_examples=300, deadline=None)
@given(VALUES, st.booleans(), st.booleans())
def test_written_json_is_read_back(value, strict, ascii_only):
    text = json.dumps([value, "x" * 3 * MAX_DEPTH], ensure_ascii=ascii_only)  # long enough for the depth check to run
    assert parse_json(text, strict) == parse_json(text.encode(), strict) == json.loads(text)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("open_", "close"), [("[", "]"), ('{"a":', "}"), ('[{"[": "\\"{[", "a": ', "}]")], ids=["list", "object", "mixed"]
)
def test_nesting_is_limited(open_, close, strict):
    levels = MAX_DEPTH // (open_.count("[{") + 1)
    assert parse_json(open_ * levels + "1" + close * levels, strict) is not None
    for depth in (levels + 1, 900, 100_000):
        with pytest.raises(ValueError, match=f"nested more than {MAX_DEPTH} levels"):
            parse_json(open_ * depth + "1" + close * depth, strict)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "{" * 100_000, "[{" * 50_000, "]" * 1000, '["' + "[" * 1000, "[[[[]]]"]
)
def test_invalid_json_is_a_value_error_at_any_depth(text):
    for strict in (True, False):
        with pytest.raises(ValueError):
            parse_json(text, strict)


def test_many_shallow_values_are_accepted():
    text = json.dumps([{"a": [[n], {"b": "[[[["}]} for n in range(20_000)])
    assert parse_json(text) == json.loads(text)


@pytest.mark.parametrize("text", ['{"a": 1, "b": 2, "a": 1}', '[{"x": {"a": 1, "a": 2}}]'])
def test_duplicate_keys_are_refused(text):
    for strict in (True, False):
        with pytest.raises(ValueError, match="the key 'a'"):
            parse_json(text, strict)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("NaN", "NaN is not a number"),
        ("[-Infinity]", "-Infinity is not a number"),
        ("1e999", "1e999 is too large a number"),
        ("-1e400", "too large a number"),
        (str(2**63), "too large a number"),
        (str(-(2**63) - 1), "too large a number"),
        ("1" * 5000, "1{60} is too large a number"),
        (r'"\ud83d"', r"\\ud83d is a lone surrogate"),
        (r'"\ude00\ud83d"', "lone surrogate"),
        (r'"\ud83d\ud83d\ude00"', "lone surrogate"),
        (r'"\\\ud83d"', "lone surrogate"),
    ],
)
def test_values_that_capsmith_never_writes_are_refused(text, says):
    with pytest.raises(ValueError, match=says):
        parse_json(text)


def test_users_files_may_hold_nan_lone_surrogates_and_large_integers():
    assert math.isnan(parse_json("[NaN]", strict=False)[0])
    assert parse_json(r'"\ud83d"', strict=False) == "\ud83d"
    assert parse_json(str(2**70), strict=False) == 2**70


@pytest.mark.parametrize("text", [r'"\ud83d\ude00"', r'"\\ud83d"', r'"\\\\ud83d"', r'"\u00e9\u4e00"'])
def test_surrogate_pairs_and_escaped_backslashes_are_accepted(text):
    assert parse_json(text) == json.loads(text)


def test_errors_name_the_file(tmp_path):
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": [1]}')
    assert read_json(tmp_path / "a.json") == {"a": [1]}
    (tmp_path / "a.json").write_bytes(b"\xff")
    with pytest.raises(CheckpointError, match="a.json.*utf-8"):
        read_json(tmp_path / "a.json", CheckpointError)


class Note(FileSchema):
    count: int
    rate: float = 0.0
    names: list[str] = []


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({}, "count: field required"),
        ({"count": 0.5}, "count: input should be a valid integer"),
        ({"count": "3"}, "count: input should be a valid integer"),
        ({"count": True}, "count: input should be a valid integer"),
        ({"count": 1, "rate": float("nan")}, "rate: input should be a finite number"),
        ({"count": 1, "names": ["a", 3]}, "names.1: input should be a valid string"),
        ([], "input should be a valid dictionary"),
    ],
)
def test_a_schema_converts_nothing(value, says):
    with pytest.raises(CheckpointError, match=f"^x.json is damaged: {says}.*; copy it again$"):
        Note.check(value, "x.json", CheckpointError, "copy it again")


def test_a_schema_accepts_integers_for_floats_and_ignores_unknown_keys():
    result = Note.check({"count": 1, "rate": 2, "more": []}, "x.json", CheckpointError, "do")
    assert result == Note(count=1, rate=2.0)
