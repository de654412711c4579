"""Which scenes each split may hold."""

import random
from collections import Counter

from capsmith.data.scene_drawing import SHAPES
from capsmith.data.scene_plan import (
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
    keeper,
    plan,
)


def scenes(split, count=1200, few=False):
    return [plan(random.Random(f"{split} {i}"), split, few) for i in range(count)]


def pair(scene):
    return frozenset((scene.first.kind, scene.second.kind))


def test_pairs_of_kinds_are_kept_apart_in_either_order():
    for one in KINDS:
        kept = Counter(keeper(one, other) for other in KINDS if other != one)
        assert kept["train"] >= 12 and kept["dev"] >= 1 and kept["test"] >= 1
        assert all(keeper(one, other) == keeper(other, one) for other in KINDS)


def test_held_out_pictures_show_a_pair_that_train_never_shows():
    shown = {split: {pair(scene) for scene in scenes(split, 2400)} for split in ("train", "dev", "test")}
    assert not shown["train"] & (shown["dev"] | shown["test"])
    assert not shown["dev"] & shown["test"]
    assert len(shown["train"]) >= 80 and len(shown["dev"]) >= 12 and len(shown["test"]) >= 12


def test_few_things_keep_the_same_promise():
    shown = {split: {pair(scene) for scene in scenes(split, 2400, few=True)} for split in ("train", "dev", "test")}
    assert not shown["train"] & (shown["dev"] | shown["test"]) and not shown["dev"] & shown["test"]
    assert len(shown["train"]) >= 30 and len(shown["dev"]) >= 5 and len(shown["test"]) >= 5
    for split in shown:
        things = [thing for scene in scenes(split, few=True) for thing in (scene.first, scene.second)]
        kinds = {thing.kind for thing in things}
        assert kinds == set(FEW_KINDS) if split == "train" else len(kinds) >= 7 and kinds <= set(FEW_KINDS)
        assert {thing.colour for thing in things} == set(FEW_COLOURS)
        assert len({scene.relation for scene in scenes(split, few=True)}) >= 4


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
