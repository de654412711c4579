"""Which scenes each split may hold."""

import random
from collections import Counter

import pytest

from capsmith.data.scenes.drawing import SHAPES
from capsmith.data.scenes.plan import (
    AIR,
    COLOURS,
    FEW_COLOURS,
    FEW_KINDS,
    GROUND,
    KINDS,
    PLACES,
    RELATIONS,
    SKIES,
    WATER,
    Scene,
    Thing,
    keeper,
    plan,
)


def scenes(split, count=1200, few=False):
    return [plan(random.Random(f"{split} {i}"), split, few) for i in range(count)]


def pair(scene):
    return frozenset((thing.kind, thing.colour) for thing in (scene.first, scene.second))


def test_pairs_are_kept_apart_in_either_order():
    things = [Thing(kind, colour) for kind in KINDS for colour in COLOURS]
    kept = Counter(keeper(one, other) for one in things for other in things)
    assert kept["train"] > 6 * kept["dev"] > 0 and kept["train"] > 6 * kept["test"] > 0
    assert all(keeper(one, other) == keeper(other, one) for one in things[::7] for other in things)


@pytest.mark.parametrize("few", [True, False])
def test_held_out_images_show_a_pair_that_train_never_shows(few):
    shown = {split: {pair(scene) for scene in scenes(split, 2400, few)} for split in ("train", "dev", "test")}
    assert not shown["train"] & (shown["dev"] | shown["test"])
    assert not shown["dev"] & shown["test"]
    seen_alone = set().union(*shown["train"])
    assert set().union(*shown["dev"], *shown["test"]) <= seen_alone


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_few_things_are_few(split):
    things = [thing for scene in scenes(split, few=True) for thing in (scene.first, scene.second)]
    assert {thing.kind for thing in things} == set(FEW_KINDS)
    assert {thing.colour for thing in things} == set(FEW_COLOURS)


def test_every_part_of_a_scene_occurs_in_every_split():
    for split in ("train", "dev", "test"):
        made = scenes(split)
        things = [thing for scene in made for thing in (scene.first, scene.second)]
        assert {scene.place for scene in made} == set(PLACES)
        assert {scene.sky for scene in made} == set(SKIES)
        assert {scene.relation for scene in made} == set(RELATIONS)
        assert {thing.kind for thing in things} == set(KINDS)
        assert {thing.colour for thing in things} == set(COLOURS)
        assert {thing.size for thing in things} == {"small", "plain", "big"}
        assert {thing.count for thing in things} == {1, 2, 3}


def test_things_are_where_they_belong():
    for scene in scenes("train"):
        one, other = scene.first.kind, scene.second.kind
        assert one != other and scene.first.colour != scene.second.colour
        assert other not in (GROUND if scene.place == "sea" else WATER)
        if scene.relation == "above":
            assert one in AIR
        elif scene.relation in ("left", "beside"):
            assert (one in AIR) == (other in AIR)


def test_plan_is_repeatable_and_survives_json():
    for scene in scenes("test", 50):
        assert Scene.from_json(scene.to_json()) == scene
    assert scenes("test", 50) == scenes("test", 50) != scenes("dev", 50)


def test_every_kind_has_a_shape():
    assert set(KINDS) <= set(SHAPES)
