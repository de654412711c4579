"""Words of captions and detected objects; what a source is asked."""

import pytest

from capsmith.deploy.describe.grounding import ground, query_of
from capsmith.models.caption import Caption
from capsmith.vision.detection.detector import Detection

BOX = (0.0, 0.0, 4.0, 4.0)


def words(caption, *labels, known=()):
    found = ground(caption, [Detection(label, 0.9, BOX) for label in labels], known)
    return {word.word: (word.object, word.status, word.objects) for word in found.words}, found.unnamed


def test_synonyms_and_plurals_name_a_class():
    found, unnamed = words("two girls ride a motorbike", "motorcycle", "person", "car", "person")
    assert found["girls"] == ("person", "confirmed", (1, 3)) and found["motorbike"][1:] == ("confirmed", (0,))
    assert unnamed == (2,)


def test_the_labels_of_the_detector_may_be_spelled_otherwise():
    found, unnamed = words("a plane in the sky", "aeroplane", known=["aeroplane", "sheep"])
    assert found["plane"] == ("aeroplane", "confirmed", (0,)) and unnamed == ()


def test_places_are_those_of_the_caption():
    caption = "A dog, a dog and a cat."
    for word in ground(caption, [Detection("dog", 0.9, BOX)]).words:
        assert caption[word.start : word.end] == word.word


@pytest.mark.parametrize(
    ("caption", "labels", "query"),
    [
        ("a man throws a frisbee to a dog", ["dog", "person"], "man dog"),
        ("a man throws a frisbee", [], "man frisbee"),
        ("the green things of the world are shining", None, "green things world shining"),
    ],
)
def test_the_query_is_what_was_confirmed_or_named_or_said(caption, labels, query):
    grounding = None if labels is None else ground(caption, [Detection(label, 0.9, BOX) for label in labels])
    assert query_of(Caption(caption, 0.0, 0.0), grounding) == query


@pytest.mark.parametrize("caption", [None, Caption("", 0.0, 0.0), Caption("it is on the", 0.0, 0.0)])
def test_a_caption_without_words_gives_no_query(caption):
    assert query_of(caption, None) == ""
