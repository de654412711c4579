"""Which scenes each split may hold."""

import random
from collections import Counter

from capsmith.data.scene_drawing import SHAPES
from capsmith.data.scene_plan import (
    AIR,
    COLOURS,
    GROUND,
    KINDS,
    PLACES,
    RELATIONS,
    SKIES,
    WATER,
    Scene,
    keeper,
    plan,
)


def scenes(split, count=1200):
    return [plan(random.Random(f"{split} {i}"), split) for i in range(count)]


def pairs(scene):
    return [(thing.colour, thing.kind) for thing in (scene.first, scene.second)]


def test_each_kind_gives_up_one_colour_for_dev_and_another_for_test():
    for kind in KINDS:
        assert Counter(keeper(kind, colour) for colour in COLOURS) == {"train": 6, "dev": 1, "test": 1}
    for colour in COLOURS:
        assert Counter(keeper(kind, colour) for kind in KINDS)["train"] >= 12


def test_held_out_pictures_show_a_pair_that_train_never_shows():
    trained = {pair for scene in scenes("train", 2400) for pair in pairs(scene)}
    developed = {pair for scene in scenes("dev") for pair in pairs(scene)}
    assert len(trained) == 18 * 6
    for scene in scenes("dev"):
        assert set(pairs(scene)) - trained
    for scene in scenes("test"):
        new = set(pairs(scene)) - trained
        assert new and not new & developed


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
