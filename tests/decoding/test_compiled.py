"""Whole searches on the device against the searches that know any stepper."""

import keras
import numpy as np
import pytest

from capsmith.decoding.rerank.mbr import ConsensusConfig, candidates
from capsmith.decoding.search import BeamConfig, GreedyConfig, SampleConfig, search
from capsmith.decoding.stepper import DecoderStepper, MaskedFeatures
from capsmith.models.decoders.config import DECODERS

V, P = 11, 3


class StepByStep:
    """The same decoder, without its whole searches."""

    def __init__(self, stepper):
        self.start, self.step = stepper.start, stepper.step


def decoder(kind="merge", **settings):
    """A decoder that is sure enough of its words to end some captions and not others."""
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


def same(one, other):
    assert [[h.tokens for h in found] for found in one] == [[h.tokens for h in found] for found in other]
    for key in ("log_probability", "score"):
        values = [[getattr(h, key) for found in some for h in found] for some in (one, other)]
        np.testing.assert_allclose(*values, rtol=1e-4, atol=1e-4)
    assert [[(h.ended, h.drawn) for h in f] for f in one] == [[(h.ended, h.drawn) for h in f] for f in other]


SEARCHES = [
    GreedyConfig(max_length=9),
    GreedyConfig(max_length=9, min_length=4),
    SampleConfig(max_length=9, samples=7, seed=3),
    SampleConfig(max_length=6, samples=2, temperature=0.5, min_length=2),
    *(
        BeamConfig(beam_size=k, max_length=t, min_length=m, length_penalty=p)
        for k, t, m, p in [(1, 7, 0, 0.7), (3, 1, 0, 0.7), (3, 7, 3, 0.0), (8, 7, 0, 1.5), (8, 7, 3, 0.7)]
    ),
]


@pytest.mark.parametrize("config", SEARCHES, ids=str)
def test_they_find_the_same(config):
    stepper, features = decoder()
    assert stepper.at_once(features, config) is not None
    same(search(stepper, features, config), search(StepByStep(stepper), features, config))


@pytest.mark.parametrize("kind", ["inject", "attention", "updown", "aoa"])
def test_of_every_decoder(kind):
    stepper, features = decoder(kind)
    for config in (GreedyConfig(max_length=7), BeamConfig(beam_size=4, max_length=7), SampleConfig(samples=3)):
        same(search(stepper, features, config), search(StepByStep(stepper), features, config))


def test_images_may_come_in_any_number():
    """Batches of other sizes, the first again among them: nothing of one is left in another."""
    stepper, features = decoder("aoa")
    for rows in ([0, 1, 2], [1], [2, 1], [0, 1, 2], [0] * 5):
        config = BeamConfig(beam_size=3, max_length=6)
        same(search(stepper, features[rows], config), search(StepByStep(stepper), features[rows], config))


def test_what_is_hidden_stays_hidden():
    stepper, features = decoder("merge")
    rng = np.random.default_rng(4)
    widths = stepper.decoder.widths
    dropout_masks = tuple((rng.random((P, width)) < 0.5).astype(np.float32) * 2 for width in widths)
    config = SampleConfig(samples=4, max_length=8)
    found = search(stepper, MaskedFeatures(features, dropout_masks), config)
    same(found, search(StepByStep(stepper), MaskedFeatures(features, dropout_masks), config))
    assert [h.tokens for h in found[0]] != [h.tokens for h in search(stepper, features, config)[0]]


def test_weights_may_change_between_searches():
    stepper, features = decoder()
    before = search(stepper, features, GreedyConfig(max_length=9))
    stepper.decoder.weights[0].assign(-np.array(keras.ops.convert_to_numpy(stepper.decoder.weights[0])))
    after = search(stepper, features, GreedyConfig(max_length=9))
    assert before != after
    same(after, search(StepByStep(stepper), features, GreedyConfig(max_length=9)))


def test_what_is_unusual_goes_step_by_step():
    stepper, features = decoder()
    for config in (
        GreedyConfig(no_repeat=2),
        BeamConfig(beam_size=4, groups=2),
        SampleConfig(top_k=3),
        SampleConfig(top_p=0.5),
    ):
        assert stepper.at_once(features, config) is None
        same(search(stepper, features, config), search(StepByStep(stepper), features, config))


def test_a_vocabulary_smaller_than_the_beam():
    stepper, features = decoder()
    config = BeamConfig(beam_size=40, max_length=3)
    same(search(stepper, features, config), search(StepByStep(stepper), features, config))


def test_the_candidates_of_a_consensus():
    stepper, features = decoder()
    config = ConsensusConfig(beam_size=3, samples=5, max_length=6)
    same(candidates(config, stepper, features), candidates(config, StepByStep(stepper), features))


def test_another_penalty_compiles_nothing_anew():
    stepper, features = decoder()
    for penalty, shortest in ((0.0, 0), (0.9, 3), (1.5, 1)):
        search(stepper, features, BeamConfig(beam_size=3, max_length=6, length_penalty=penalty, min_length=shortest))
    search(stepper, features, SampleConfig(samples=2, max_length=6, temperature=0.5))
    search(stepper, features, SampleConfig(samples=2, max_length=6, temperature=2.0))
    assert len(stepper._searches) == 2
