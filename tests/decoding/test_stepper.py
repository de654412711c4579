"""Searches compiled on the device, over real decoders, against the reference search."""

import keras
import numpy as np
import pytest

from capsmith.decoding.config import BeamConfig, GreedyConfig, SampleConfig
from capsmith.decoding.features import MaskedFeatures
from capsmith.decoding.search import search
from capsmith.decoding.stepper import DecoderStepper
from capsmith.models.decoders.config import DECODERS
from tests.decoding.test_search import OPTIONS
from tests.support.hypotheses import assert_same
from tests.support.reference_search import reference_search

V, P = 11, 3


def decoder(kind="merge", **settings):
    """A decoder with peaked distributions, so that some captions end and others do not."""
    keras.utils.set_random_seed(5)
    grid = kind in ("attention", "updown", "aoa")
    shape, settings = ((4, 6), settings | {"attention_units": 8}) if grid else ((6,), settings)
    config = DECODERS.settings[kind](units=8, embedding={"size": 5}, **settings)
    made = DECODERS.build(config, V)
    features = np.random.default_rng(1).normal(size=(P, *shape)).astype(np.float32)
    made(features, np.ones((P, 2), np.int32))
    rng = np.random.default_rng(2)
    for weight in made.weights:
        if "float" in str(weight.dtype):
            weight.assign(rng.normal(scale=0.8, size=weight.shape))
    return DecoderStepper(made), features


@pytest.mark.jax
@pytest.mark.parametrize("config", OPTIONS, ids=str)
def test_compiled_every_option_equals_the_reference(config):
    stepper, features = decoder()
    assert_same(search(stepper, features, config), reference_search(stepper, features, config))


@pytest.mark.jax
@pytest.mark.parametrize("kind", ["inject", "attention", "updown", "aoa"])
def test_compiled_search_of_every_decoder_equals_the_reference(kind):
    stepper, features = decoder(kind)
    for config in (GreedyConfig(max_length=7), BeamConfig(beam_size=4, max_length=7), SampleConfig(samples=3)):
        assert_same(search(stepper, features, config), reference_search(stepper, features, config))


def test_batches_of_any_size_are_accepted():
    """Batches of several sizes, the first one repeated: no state of one batch affects another."""
    stepper, features = decoder("aoa")
    for rows in ([0, 1, 2], [1], [2, 1], [0, 1, 2], [0] * 5):
        config = BeamConfig(beam_size=3, max_length=6)
        assert_same(search(stepper, features[rows], config), reference_search(stepper, features[rows], config))


def test_compiled_search_applies_dropout_masks():
    stepper, features = decoder("merge")
    rng = np.random.default_rng(4)
    widths = stepper.decoder.widths
    dropout_masks = tuple((rng.random((P, width)) < 0.5).astype(np.float32) * 2 for width in widths)
    config = SampleConfig(samples=4, max_length=8)
    found = search(stepper, MaskedFeatures(features, dropout_masks), config)
    assert_same(found, reference_search(stepper, MaskedFeatures(features, dropout_masks), config))
    assert [h.tokens for h in found[0]] != [h.tokens for h in search(stepper, features, config)[0]]


def test_weights_changed_between_searches_are_used():
    stepper, features = decoder()
    before = search(stepper, features, GreedyConfig(max_length=9))
    stepper.decoder.weights[0].assign(-np.array(keras.ops.convert_to_numpy(stepper.decoder.weights[0])))
    after = search(stepper, features, GreedyConfig(max_length=9))
    assert before != after
    assert_same(after, reference_search(stepper, features, GreedyConfig(max_length=9)))


@pytest.mark.parametrize("config", OPTIONS, ids=str)
def test_every_option_is_compiled(config, monkeypatch):
    """The search never calls a single step from Python: every option is part of the compiled function."""
    stepper, features = decoder()
    monkeypatch.setattr(stepper, "step", None)
    monkeypatch.setattr(stepper, "start", None)
    assert len(search(stepper, features, config)) == P
    assert len(stepper._programs) == 1


def test_further_searches_run_step_by_step(monkeypatch):
    """A service is asked for searches of any length; TensorFlow keeps memory of every function that it has compiled."""
    stepper, features = decoder()
    monkeypatch.setattr("capsmith.decoding.stepper.MOST_PROGRAMS", 2)
    for length in range(3, 8):
        config = BeamConfig(beam_size=3, max_length=length)
        assert_same(search(stepper, features, config), reference_search(stepper, features, config))
    assert len(stepper._programs) == 2


def test_another_penalty_does_not_recompile():
    stepper, features = decoder()
    for penalty, shortest in ((0.0, 0), (0.9, 3), (1.5, 1)):
        search(stepper, features, BeamConfig(beam_size=3, max_length=6, length_penalty=penalty, min_length=shortest))
    search(stepper, features, SampleConfig(samples=2, max_length=6, temperature=0.5))
    search(stepper, features, SampleConfig(samples=2, max_length=6, temperature=2.0))
    assert len(stepper._programs) == 2
