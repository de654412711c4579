"""Searches that remember what they have computed, compared with the same captions computed word by word."""

import numpy as np
import pytest

from capsmith.data.text.vocabulary import START
from capsmith.decoding.config import BeamConfig, GreedyConfig, SampleConfig
from capsmith.decoding.recording import RecordingStepper
from capsmith.decoding.search import search
from tests.support.exports import D, Reference, U

SEARCHES = [
    GreedyConfig(max_length=9),
    GreedyConfig(max_length=2, min_length=2),
    BeamConfig(beam_size=4, max_length=9),
    BeamConfig(beam_size=3, max_length=3, min_length=3),
    BeamConfig(beam_size=6, groups=3, max_length=8, no_repeat=2),
    SampleConfig(samples=5, max_length=9, temperature=2.0),
]


def features(count=3):
    return np.random.default_rng(5).normal(size=(count, D)).astype(np.float32)


def weights(state):
    """Stands for attention: the recurrent state itself."""
    return [state[1]]


def by_hand(reference, row, tokens):
    """Returns the log probability of each token, and the state with which it was predicted."""
    state, parents = reference.start(row), np.zeros(1, np.int32)
    found, seen, before = [], [], START
    for token in tokens:
        log_probs, state = reference.step(np.int32([before]), parents, state)
        found.append(log_probs[0, token])
        seen.append(state[1][0])
        before = token
    return np.array(found), np.reshape(seen, (-1, U))


@pytest.mark.parametrize("config", SEARCHES, ids=str)
def test_each_hypothesis_has_its_path(config):
    reference, recording = Reference(), RecordingStepper(Reference(), weights)
    found = search(recording, features(), config)
    plain = search(reference, features(), config)
    assert [[one.tokens for one in ranked] for ranked in found] == [[one.tokens for one in own] for own in plain]
    for image, ranked in enumerate(found):
        for one in ranked:
            path = recording.path(image, one.tokens)
            expected, seen = by_hand(reference, features()[image : image + 1], one.tokens)
            np.testing.assert_allclose(path.log_probabilities, expected, atol=1e-5)
            np.testing.assert_allclose(path.weights[0], seen, atol=1e-5)
            if not one.ended:
                assert path.log_probabilities.sum() == pytest.approx(one.log_probability, abs=1e-4)


def test_paths_of_other_images_and_other_captions_are_not_found():
    recording = RecordingStepper(Reference())
    found = search(recording, features(2), BeamConfig(beam_size=2, max_length=6, min_length=4))
    words = found[0][0].tokens
    assert recording.path(0, words) is not None and recording.path(0, words).weights == []
    if words not in [one.tokens for one in found[1]]:
        assert recording.path(1, words) is None
    assert recording.path(0, [*words[:-1], words[-1] + 1, 5, 5]) is None
    assert recording.path(0, [4] * 50) is None
    assert len(recording.path(1, ()).log_probabilities) == 0


def test_each_search_has_its_own_record():
    recording = RecordingStepper(Reference())
    first = search(recording, features(2), GreedyConfig(max_length=9, min_length=2))
    search(recording, features(2)[::-1], GreedyConfig(max_length=1))
    expected, _ = by_hand(Reference(), features(2)[:1], first[0][0].tokens)
    np.testing.assert_allclose(recording.path(0, first[0][0].tokens).log_probabilities, expected, atol=1e-5)


def test_it_is_searched_step_by_step():
    assert not hasattr(RecordingStepper(Reference()), "run_compiled")
    assert not hasattr(RecordingStepper(Reference()), "members")
