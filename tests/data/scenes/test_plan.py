"""The scenes that each split may hold."""

import random
from collections import Counter

from capsmith.data.scenes.objects import SHAPES
from capsmith.data.scenes.plan import (
    AIR,
    COLOURS,
    GROUND,
    KINDS,
    PLACES,
    RELATIONS,
    SKIES,
    WATER,
    Scene,
    Thing,
    plan,
    split_of,
)


def scenes(split, count=1200):
    return [plan(random.Random(f"{split} {i}"), split) for i in range(count)]


def pair(scene):
    return frozenset((thing.kind, thing.colour) for thing in (scene.first, scene.second))


def test_the_split_of_a_pair_does_not_depend_on_its_order():
    things = [Thing(kind, colour) for kind in KINDS for colour in COLOURS]
    splits = Counter(split_of(one, other) for one in things for other in things)
    assert splits["train"] > 6 * splits["dev"] > 0 and splits["train"] > 6 * splits["test"] > 0
    assert all(split_of(one, other) == split_of(other, one) for one in things[::7] for other in things)


def test_held_out_images_show_a_pair_that_train_never_shows():
    shown = {split: {pair(scene) for scene in scenes(split, 2400)} for split in ("train", "dev", "test")}
    assert not shown["train"] & (shown["dev"] | shown["test"])
    assert not shown["dev"] & shown["test"]
    seen_alone = set().union(*shown["train"])
    assert set().union(*shown["dev"], *shown["test"]) <= seen_alone


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
    assert set(KINDS) == set(SHAPES)
