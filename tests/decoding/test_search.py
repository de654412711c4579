"""Every option of every search gives the result of the plain reference search, in NumPy and compiled."""

import numpy as np
import pytest

from capsmith.decoding.search import BeamConfig, GreedyConfig, SampleConfig, search
from tests.support.hypotheses import assert_same
from tests.support.reference_search import reference_search
from tests.support.table_model import Table, features

OPTIONS = [
    GreedyConfig(max_length=9),
    GreedyConfig(max_length=9, min_length=4, no_repeat=2),
    BeamConfig(beam_size=1, max_length=7),
    BeamConfig(beam_size=3, max_length=1),
    BeamConfig(beam_size=8, max_length=7, min_length=3, length_penalty=0.0),
    BeamConfig(beam_size=5, max_length=9, length_penalty=1.5, no_repeat=1),
    BeamConfig(beam_size=5, max_length=9, no_repeat=2),
    BeamConfig(beam_size=40, max_length=3),
    BeamConfig(beam_size=6, groups=3, max_length=7),
    BeamConfig(beam_size=6, groups=2, diversity=2.0, max_length=9, no_repeat=3, min_length=2),
    BeamConfig(beam_size=4, groups=4, diversity=0.0, max_length=6),
    SampleConfig(samples=7, max_length=9, seed=3),
    SampleConfig(samples=5, max_length=6, temperature=0.5, min_length=2, no_repeat=2),
    SampleConfig(samples=5, max_length=8, top_k=2),
    SampleConfig(samples=5, max_length=8, top_p=0.6, temperature=1.7),
    SampleConfig(samples=5, max_length=8, top_k=3, top_p=0.9, no_repeat=1),
]


@pytest.mark.parametrize("config", OPTIONS, ids=str)
def test_in_numpy_every_option_equals_the_reference(config):
    for seed in range(3):
        model, images = Table(5, seed=seed, sharpness=2.0), features(5) + np.arange(5)[:, None]
        assert_same(search(model, images, config), reference_search(Slices(model), images, config))


class Slices:
    """The table model of one image; the feature is the image's number."""

    def __init__(self, model):
        self.model = model

    def start(self, features):
        state = self.model.start(features)
        state[:, 0] = features[:, 0].astype(int)
        return state

    def step(self, tokens, parents, state):
        return self.model.step(tokens, parents, state)
