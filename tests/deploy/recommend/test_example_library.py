"""The library that comes with capsmith: many captions that differ, described in words that an embedding can know."""

import itertools
import re
from collections import Counter
from pathlib import Path

import pytest

from capsmith.deploy.recommend.diversity import SAME_WORDS, word_overlap, words_of
from capsmith.deploy.recommend.library import EXAMPLE, Library

FLICKR8K = Path(__file__).parents[4] / "shared" / "flickr8k"
ISSUE_THEMES = {"travel", "food and drink", "friends", "sports", "pets", "nature", "city", "rest", "celebration"}


@pytest.fixture(scope="module")
def library():
    return Library.example()


def test_many_captions_over_many_themes(library):
    assert len(library) >= 400 and library.notes == ()
    assert len(library.theme_counts) >= 30 and ISSUE_THEMES <= {*library.theme_counts}
    assert min(library.theme_counts.values()) >= 8 and all(library.themes)


def test_captions_and_descriptions_are_unique(library):
    for texts in (library.captions, library.descriptions):
        assert len({text.casefold() for text in texts}) == len(library)
    words = [*map(words_of, library.captions)]
    alike = [(a, b) for a, b in itertools.combinations(words, 2) if word_overlap(a, b) >= SAME_WORDS]
    assert alike == []


def test_captions_are_sentences_and_descriptions_plain_words(library):
    assert {caption for caption in library.captions if not re.fullmatch(r"[A-Z\d].{5,80}[.!?]", caption)} == set()
    assert {one for one in library.descriptions if not re.fullmatch(r"[a-z]+(?:['-]?[a-z]+| )+", one)} == set()
    openings = Counter(" ".join(caption.casefold().split()[:2]) for caption in library.captions)
    assert max(openings.values()) <= 3


def test_the_file_is_a_template_for_a_spreadsheet():
    assert EXAMPLE.read_text(encoding="ascii").splitlines()[0] == "caption,description,theme"


@pytest.mark.skipif(not FLICKR8K.is_dir(), reason="needs ../shared/flickr8k")
@pytest.mark.shared
def test_the_words_of_descriptions_are_those_of_flickr8k(library):
    """99.7 % of the words stand at least three times in the captions of the training images."""
    images = {*(FLICKR8K / "Flickr_8k.trainImages.txt").read_text().split()}
    rows = (line.split("\t") for line in (FLICKR8K / "Flickr8k.token.txt").read_text().splitlines())
    counts = Counter(
        word for key, text in rows if key.split("#")[0] in images for word in re.findall("[a-z]+", text.lower())
    )
    words = [word for text in library.descriptions for word in re.findall("[a-z]+", text)]
    assert sum(counts[word] >= 3 for word in words) / len(words) >= 0.99
    content = {word for word, count in counts.items() if count >= 3} - {"a", "the", "of", "in", "on", "with", "and"}
    assert [text for text in library.descriptions if not content & {*text.split()}] == []
