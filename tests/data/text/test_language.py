"""Words for sides, which change places in captions of mirrored images."""

from collections import Counter

import pytest

from capsmith.data.text import language
from capsmith.data.text.config import TextConfig
from capsmith.data.text.tokens import tokenise

KNOWN = sorted({*language._COMMON, *language._BY_SCRIPT.values()})


@pytest.mark.parametrize("name", KNOWN)
def test_every_word_is_a_token_of_one_pair(name):
    """A word of two pairs would not come back when an image is mirrored twice; one that is cut never changes."""
    words = [word for pair in language.sides(name) for word in pair]
    assert not [word for word, count in Counter(words).items() if count > 1]
    assert [tokenise(word, TextConfig()) for word in words] == [[word] for word in words]


def test_only_languages_that_are_told_apart_have_sides():
    assert set(language._SIDES) <= set(KNOWN)
    assert language.sides("English") == (("left", "right"),)
    assert ("linken", "rechten") in language.sides("German")
    assert language.sides("Vietnamese") == language.sides("") == ()
