"""The grammar of the scene captions: correct, varied, and hard to guess without the image."""

import random
import re

import pytest
from nltk.translate.bleu_score import corpus_bleu

from capsmith.data.scenes.captions import caption, captions
from capsmith.data.scenes.plan import COLOURS, Scene, Thing, plan


def described(split, count):
    made = []
    for number in range(count):
        rng = random.Random(f"{split} {number}")
        scene = plan(rng, split)
        made.append((scene, captions(scene, rng)))
    return made


@pytest.fixture(scope="module")
def test_split():
    return described("test", 300)


def all_captions(scene, count=400):
    rng = random.Random(1)
    return {caption(scene, rng) for _ in range(count)}


def test_five_different_captions_of_usual_length(test_split):
    lengths = []
    for _, said in test_split:
        assert len(set(said)) == 5
        lengths += [len(one.split()) for one in said]
    assert 12 <= sum(lengths) / len(lengths) <= 15
    assert min(lengths) >= 5 and max(lengths) <= 22


def test_captions_are_plain_lower_case_words(test_split):
    for _, said in test_split:
        for one in said:
            assert re.fullmatch(r"[a-z]+( [a-z]+)*", one)
            assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", one)


def test_captions_name_both_things_with_their_colours(test_split):
    for scene, said in test_split:
        for one in said:
            colours = [word for word in one.split() if word in COLOURS]
            assert sorted(colours) == sorted((scene.first.colour, scene.second.colour))


def test_every_held_out_word_is_trained(test_split):
    trained = {word for _, said in described("train", 2400) for one in said for word in one.split()}
    for split in (test_split, described("dev", 200)):
        assert {word for _, said in split for one in said for word in one.split()} <= trained


def test_relation_and_order_agree():
    scene = Scene(Thing("cat", "red"), "left", Thing("car", "blue"), "snow", "night")
    said = all_captions(scene)
    for one in said:
        cat_first = one.index("cat") < one.index("car")
        if re.search(r"\bright of\b", one):
            assert not cat_first
        elif re.search(r"\bleft of\b", one):
            assert cat_first
        elif "on its left" in one:
            assert not cat_first
    assert any("right of" in one for one in said) and any("on its left" in one for one in said)


def test_above_and_on_are_not_inverted():
    above = Scene(Thing("plane", "red"), "above", Thing("car", "blue"), "city", "rain")
    for one in all_captions(above):
        if re.search(r"\b(under|below)\b", one.replace("under grey clouds", "")):
            assert one.index("car") < one.index("plane")
    on = Scene(Thing("cat", "red"), "on", Thing("house", "blue"), "meadow", "sunny")
    for one in all_captions(on):
        assert re.search(r"\bon (top of )?(it|a blue)\b", one)


def test_several_things_take_plural_verbs():
    scene = Scene(Thing("balloon", "white", count=3), "left", Thing("plane", "green"), "meadow", "sunny")
    said = all_captions(scene)
    for one in said:
        assert "three white balloons" in one
        assert not re.search(r"balloons (is|floats|drifts)\b", one)
    assert any(re.search(r"balloons float\b", one) for one in said)
    assert any("there are three" in one for one in said)


def test_a_scene_has_hundreds_of_captions():
    scene = Scene(Thing("plane", "red"), "above", Thing("house", "blue", "big"), "meadow", "sunny")
    assert len(all_captions(scene, 2000)) > 300


def test_references_agree_with_each_other_and_not_with_other_images(test_split):
    split = [[one.split() for one in said] for _, said in test_split]
    own, other = [], []
    for held in range(5):
        said = [five[held] for five in split]
        own.append(corpus_bleu([five[:held] + five[held + 1 :] for five in split], said))
        shifted = split[7:] + split[:7]
        other.append(corpus_bleu([five[:4] for five in shifted], said))
    assert sum(own) / 5 > 0.65
    assert sum(other) / 5 < 0.15
