"""Changes with ``--set``."""

from pathlib import Path

import pytest

from capsmith.config import load_config
from capsmith.decoding.config import GreedyConfig
from tests.support.configs import BASE, error


def test_set_changes_one_key_and_leaves_the_rest():
    config = load_config(BASE, ["decoder.units=7", "decoder.embedding.size=3", "training.clip_norm=null"])
    assert (config.decoder.units, config.decoder.embedding.size, config.training.clip_norm) == (7, 3, None)
    assert config.decoder.type == "inject"
    assert config.data == load_config(BASE).data
    assert BASE["decoder"] == {"type": "inject"}  # the argument is unchanged


def test_the_last_of_two_wins():
    assert load_config(BASE, ["seed=3", "seed=4"]).seed == 4


def test_values_may_hold_equal_signs_and_commas():
    config = load_config(BASE, ["data.root=a=b,c", "evaluation.metrics=[bleu, rouge]"])
    assert config.data.root == Path("a=b,c")
    assert config.evaluation.metrics == ("bleu", "rouge")


def test_another_type_drops_keys_that_it_lacks():
    beam = {**BASE, "decoding": {"type": "beam", "beam_size": 4, "max_length": 9}}
    greedy = load_config(beam, ["decoding.type=greedy"])
    assert greedy.decoding == GreedyConfig(max_length=9)
    sample = load_config(beam, ["decoding.type=sample", "decoding.top_k=3"]).decoding
    assert (sample.type, sample.top_k, sample.max_length) == ("sample", 3, 9)
    same = load_config(beam, ["decoding.type=beam"])
    assert same.decoding.beam_size == 4
    merge = load_config({**BASE, "decoder": {"type": "inject", "mode": "par", "units": 3}}, ["decoder.type=merge"])
    assert (merge.decoder.type, merge.decoder.units) == ("merge", 3)
    scenes = load_config({**BASE, "data": {"type": "folder", "root": "x", "captions": "c.csv"}}, ["data.type=scenes"])
    assert (scenes.data.type, scenes.data.root) == ("scenes", Path("x"))


def test_a_key_of_the_new_type_may_come_first():
    assert load_config(BASE, ["decoding.beam_size=7", "decoding.type=beam"]).decoding.beam_size == 7


def test_a_key_of_the_old_type_after_a_new_type_is_an_error():
    beam = {**BASE, "decoding": {"type": "beam"}}
    assert "decoding.beam_size" in error(beam, "decoding.type=greedy", "decoding.beam_size=3")


@pytest.mark.parametrize("override", ["a", "=3", "a..b=1", ".=1", "seed", ""])
def test_set_requires_a_key_and_a_value(override):
    assert "section.key=value" in error(BASE, override)


@pytest.mark.parametrize("value", ["[", "2024-13-45", "!!int x", "'", "9" * 5000, "[" * 5000])
def test_set_with_invalid_yaml_is_an_error(value):
    message = error(BASE, f"seed={value}")
    assert "not valid YAML" in message
    assert len(message) < 200


def test_set_below_a_scalar_is_an_error():
    assert "data.root" in error(BASE, "data.root.deeper=5")
