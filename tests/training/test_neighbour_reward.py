"""Captions are rewarded for the words of similar images, never for those of their own references."""

import numpy as np
import pytest

from capsmith.config import load_config
from capsmith.core.errors import ConfigError
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.metrics.reward import CiderReward
from capsmith.training.neighbour_reward import neighbour_reward

KINDS, COPIES = 5, 8
WORDS = [f"kind{kind}" for kind in range(KINDS)]


class Source:
    """Images of five kinds, in turn; those of one kind are alike."""

    def __init__(self):
        rng = np.random.default_rng(1)
        centres = rng.normal(size=(KINDS, 16)) * 3
        self.stored = centres[np.arange(KINDS * COPIES) % KINDS] + rng.normal(size=(KINDS * COPIES, 16)) * 0.1

    def gather(self, rows):
        return self.stored[rows].astype(np.float32)


def _references():
    return {row: [("a", WORDS[row % KINDS], "of", f"own{row}")] for row in range(KINDS * COPIES)}


def test_the_reward_is_that_of_the_nearest_other_images():
    references = _references()
    vocabulary = Vocabulary.build([words for group in references.values() for words in group])
    reward = neighbour_reward(references, Source(), vocabulary, COPIES - 1)
    hypotheses = [("a", "kind2", "of", "own7"), ("a", "kind3", "of", "own7"), ("a", "kind2", "of", "own12")]
    alike = {7: [references[row][0] for row in range(2, KINDS * COPIES, KINDS) if row != 7]}
    expected = CiderReward(alike, references).reward([7, 7, 7], hypotheses)
    found = reward.reward([7, 7, 7], hypotheses)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert found[0] > found[1]  # the kind of the image
    assert found[2] > found[0]  # own12 is a neighbour's word; own7 is the image's own and gains nothing
    assert found[2] == pytest.approx(expected[2])


def test_a_trained_encoder_is_refused(tmp_path):
    overrides = ["training.objective=scst", f"training.resume_weights_from={tmp_path}", "training.neighbours=3"]
    with pytest.raises(ConfigError, match=r"training\.neighbours"):
        load_config("quickstart.yaml", overrides)
