"""The objects that captions name: hand-annotated captions, and the table itself."""

import time

import pytest

from capsmith.metrics.grounding import CLASSES, implied_by, objects_of, table


def named(caption: str, **options) -> list[str]:
    return [f"{one.label}: {one.text}" for one in objects_of(caption, **options)]


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("a dog runs", ["dog: dog"]),
        ("Two Dogs and three PUPPIES .", ["dog: Dogs", "dog: PUPPIES"]),
        ("the man 's dog , the woman's cat", ["person: man", "dog: dog", "person: woman's", "cat: cat"]),
        ("children with baseball bats", ["person: children", "baseball bat: baseball bats"]),
        ("knives , geese , oxen and buses", ["knife: knives", "bird: geese", "cow: oxen", "bus: buses"]),
        ("two glasses of wine beside a hot-dog", ["wine glass: glasses of wine", "hot dog: hot-dog"]),
        ("a teddy bear at a stop sign", ["teddy bear: teddy bear", "stop sign: stop sign"]),
        ("a stuffed bear", ["teddy bear: stuffed bear"]),
        ("people on horseback", ["person: people", "horse: horseback"]),
        ("the golden retriever and a black lab", ["dog: golden retriever", "dog: black lab"]),
        ("", []),
        ("ein Hund läuft", []),
    ],
)
def test_words_and_compounds(caption, expected):
    assert named(caption) == expected


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("a child in a hot tub near a flower bed", ["person: child"]),
        ("people play table tennis at the bus stop", ["person: people"]),
        ("a bike path , a horse race , a dog house", []),
        ("a toy car and a stuffed dog", []),
        ("a man skis down a slope", ["person: man"]),
        ("a man on skis", ["person: man", "skis: skis"]),
        ("a boy bats the ball with a bat", ["person: boy", "sports ball: ball", "baseball bat: bat"]),
        ("a couple of dogs", ["dog: dogs"]),
        ("a couple kissing", ["person: couple"]),
        ("they play football", []),
        ("he throws a football to a football player in a football game", ["sports ball: football", "person: player"]),
        ("a baby boy and a baby bird", ["person: baby boy", "bird: bird"]),
        ("a police dog", ["dog: dog"]),
        ("a man , woman and girl", ["person: man", "person: woman", "person: girl"]),
    ],
)
def test_what_is_not_named(caption, expected):
    assert named(caption) == expected


def test_words_of_several_classes():
    (bike,) = objects_of("a bike")
    assert bike.labels == ("bicycle", "motorcycle")


def test_spans_are_the_words_of_the_caption():
    caption = "A  Boy's tennis  racket, and grass"
    found = objects_of(caption, others=True)
    assert [caption[one.start : one.end] for one in found] == ["Boy's", "tennis  racket", "grass"]
    assert [one.labels for one in found] == [("person",), ("tennis racket",), ()]


def test_implied_objects_are_truth_but_not_named():
    assert named("a skier and a cyclist") == ["person: skier", "person: cyclist"]
    assert implied_by("a skier and a cyclist") == {"person", "skis", "bicycle"}
    assert implied_by("they are playing tennis") == {"sports ball", "tennis racket"}
    assert implied_by("nothing") == frozenset()


def test_the_table_holds_the_80_classes_of_coco():
    assert len(CLASSES) == 80
    assert CLASSES[0] == "person" and CLASSES[16] == "dog" and CLASSES[79] == "toothbrush"
    for label in CLASSES:
        if label != "orange":  # the colour: only its plural and "slice of orange" are the fruit
            assert [one.label for one in objects_of(f"near the {label} there")] == [label]


def test_every_label_of_the_table_is_a_class():
    entries = table.words_of().entries.values()
    assert {label for entry in entries for label in entry.labels} == set(CLASSES)
    assert {label for labels in table.IMPLIES.values() for label in labels} <= set(CLASSES)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("aeroplane", "airplane"),
        ("tvmonitor", "tv"),
        ("Dining_Table", "dining table"),
        ("Traffic cone", "traffic cone"),
    ],
)
def test_names_of_other_detectors(name, label):
    assert table.canonical(name) == label


def test_long_names_of_classes_take_no_time():
    begin = time.perf_counter()
    assert objects_of("berries dogs buses " * 6, ("berries dogs buses " * 6,)) != ()
    assert time.perf_counter() - begin < 2
