"""Words for left and right, which are exchanged in captions of mirror images."""

from collections import Counter

import pytest

from capsmith.data.text import language
from capsmith.data.text.config import TextConfig
from capsmith.data.text.language import side_words
from capsmith.data.text.tokens import tokenise

KNOWN = sorted(language._languages())


@pytest.mark.parametrize("name", [name for name in KNOWN if side_words(name)])
def test_every_word_is_a_token_of_one_pair(name):
    """A word of two pairs would not come back when an image is mirrored twice; a word of two tokens never changes."""
    words = [word for pair in side_words(name) for word in pair]
    assert not [word for word, count in Counter(words).items() if count > 1]
    assert [tokenise(word, TextConfig()) for word in words] == [[word] for word in words]


def test_every_language_can_be_detected():
    entries = language._languages().values()
    assert all("common" in entry or "script" in entry for entry in entries)
    assert all(entry.keys() <= {"common", "script", "sides"} for entry in entries)


def test_words_for_sides():
    assert side_words("English") == (("left", "right"),)
    assert ("linken", "rechten") in side_words("German")
    assert side_words("Vietnamese") == side_words("") == ()
