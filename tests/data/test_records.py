"""Records, problems, and the settings that all datasets share."""

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from capsmith.config import load_config
from capsmith.core.errors import ConfigError
from capsmith.data import records
from capsmith.data.records import Problems, Record
from capsmith.data.text.config import TextConfig
from capsmith.data.text.tokens import tokenise

CAPTIONS = ("A dog's ball.", "two DOGS, one ball")


def record():
    return Record("a.jpg", Path("a.jpg"), CAPTIONS, "train")


def test_tokens_are_those_of_each_caption():
    for text in (TextConfig(), TextConfig(mode="char"), TextConfig(lowercase=False)):
        assert [list(tokens) for tokens in record().tokens(text)] == [tokenise(caption, text) for caption in CAPTIONS]


def test_captions_are_tokenised_once(monkeypatch):
    calls = []
    monkeypatch.setattr(records, "tokenise", lambda caption, text: calls.append(caption) or tokenise(caption, text))
    one = record()
    for _ in range(3):
        one.tokens(TextConfig())
        one.tokens(TextConfig(min_count=1, lowercase=True))
    assert len(calls) == 2 * len(CAPTIONS)  # once for each of the two settings


def test_cached_tokens_are_no_part_of_a_record():
    one, other = record(), record()
    one.tokens(TextConfig())
    assert one == other and hash(one) == hash(other) and repr(one) == repr(other)
    assert pickle.loads(pickle.dumps(one)) == one
    changed = replace(one, captions=("a cat",))
    assert changed.tokens(TextConfig()) == (("a", "cat"),)


def test_a_summary_shows_three_examples_of_each_kind():
    problems = Problems()
    assert problems.summary() == ""
    for number in range(5):
        problems.add("missing image", f"{number}.jpg")
    problems.add("empty caption", "9.jpg")
    assert problems.summary() == "5 × missing image (0.jpg, 1.jpg, 2.jpg, …); 1 × empty caption (9.jpg)"


@pytest.mark.parametrize(
    ("data", "names"),
    [
        ({"max_problems": 0.1}, ("data.max_problems", "max_bad_fraction")),
        ({"split": {"together": [["a.jpg"]]}}, ("data.split.together", "groups")),
        ({"type": "scenes", "max_problems": 0.1}, ("data.max_problems", "max_bad_fraction")),
        ({"type": "scenes", "things": "all"}, ("data.things", "removed")),
    ],
)
def test_renamed_keys_name_their_successors(data, names):
    with pytest.raises(ConfigError) as caught:
        load_config({"data": {"type": "folder", "root": "x", **data}, "decoder": {"type": "inject"}})
    assert all(name in str(caught.value) for name in names)
