"""Grounding: captions against detected labels."""

import sys
from types import SimpleNamespace

import pytest

from capsmith.metrics.grounding import ground, wordnet

CAPTION = "Two dogs chase a frisbee on the grass"


def statuses(caption, *arguments):
    return {mention.text: (mention.label, mention.status) for mention in ground(caption, *arguments)}


def test_confirmed_unconfirmed_and_unknown():
    assert statuses(CAPTION, ["dog", "person"]) == {
        "dogs": ("dog", "confirmed"),
        "frisbee": ("frisbee", "unconfirmed"),
        "grass": ("grass", "unknown"),
    }


def test_spans_are_ordered_and_apart():
    mentions = ground(CAPTION, [])
    assert [CAPTION[mention.start : mention.end] for mention in mentions] == ["dogs", "frisbee", "grass"]
    assert mentions[0].as_dict() == {"start": 4, "end": 8, "text": "dogs", "label": "dog", "status": "unconfirmed"}


def test_classes_that_the_detector_does_not_have():
    assert statuses(CAPTION, ["dog"], ["dog", "cat"])["frisbee"] == ("frisbee", "unknown")
    assert statuses(CAPTION, [], [])["dogs"] == ("dog", "unknown")


def test_labels_keep_the_spelling_of_the_detector():
    found = statuses("a plane over a sofa", ["aeroplane"], ["aeroplane", "sofa"])
    assert found == {"plane": ("aeroplane", "confirmed"), "sofa": ("sofa", "unconfirmed")}


def test_classes_outside_the_table_match_by_name():
    found = statuses("traffic cones and a tree", ["Traffic cone"], ["Traffic cone", "Tree"])
    assert found == {"traffic cones": ("Traffic cone", "confirmed"), "tree": ("Tree", "unconfirmed")}


def test_a_word_of_several_classes_is_confirmed_by_either():
    assert statuses("a bike", ["motorcycle"]) == {"bike": ("motorcycle", "confirmed")}
    assert statuses("a bike", ["dog"]) == {"bike": ("bicycle", "unconfirmed")}


def test_a_detected_label_counts_as_a_class():
    assert statuses("a tree", ["tree"], []) == {"tree": ("tree", "confirmed")}


@pytest.fixture
def fake_wordnet(monkeypatch):
    """nltk with three synsets: church < building < structure."""

    def synset(names, *broader):
        return SimpleNamespace(lemma_names=lambda: names, hypernyms=lambda: list(broader))

    structure = synset(["structure"])
    church = synset(["church", "house_of_God"], synset(["building", "edifice"], structure))
    found = SimpleNamespace(synsets=lambda noun, pos: [church] if noun == "church" else [])
    monkeypatch.setitem(sys.modules, "nltk", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "nltk.corpus", SimpleNamespace(wordnet=found))
    wordnet.class_of.cache_clear()
    yield
    wordnet.class_of.cache_clear()


@pytest.mark.usefixtures("fake_wordnet")
def test_wordnet_finds_broader_classes():
    found = statuses("a church on grass", ["building"], ["building", "structure"])
    assert found == {"church": ("building", "confirmed"), "grass": ("grass", "unknown")}


def test_without_wordnet_the_noun_is_unknown(monkeypatch):
    wordnet.class_of.cache_clear()
    monkeypatch.setitem(sys.modules, "nltk.corpus", None)  # import fails
    assert statuses("a church", ["building"], ["building"]) == {"church": ("church", "unknown")}
    wordnet.class_of.cache_clear()
