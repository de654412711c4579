"""An exported decoder computes and searches as the same decoder in NumPy."""

import numpy as np
import pytest

from capsmith.core.errors import CheckpointError
from capsmith.data.text.vocabulary import START
from capsmith.decoding.config import BeamConfig, GreedyConfig, SampleConfig
from capsmith.decoding.features import EnsembleFeatures
from capsmith.decoding.joint_stepper import JointStepper
from capsmith.decoding.onnx_stepper import OnnxStepper
from capsmith.decoding.search import search
from tests.support.exports import D, Reference, V, graphs

FEATURES = np.random.default_rng(1).normal(size=(3, D)).astype(np.float32)


def stepper_of(reference, folder):
    for name, model in graphs(reference).items():
        (folder / name).write_bytes(model.SerializeToString())
    return OnnxStepper(folder / "start.onnx", folder / "step.onnx", (D,), 1, 2, V)


def test_steps_follow_the_parents(tmp_path):
    reference = Reference()
    stepper, states = stepper_of(reference, tmp_path), []
    rng = np.random.default_rng(0)
    tokens, parents = np.full(6, START, np.int32), np.repeat(np.arange(3, dtype=np.int32), 2)
    states = [one.start(FEATURES) for one in (stepper, reference)]
    for _ in range(4):
        (found, states[0]), (expected, states[1]) = (
            one.step(tokens, parents, state) for one, state in zip((stepper, reference), states, strict=True)
        )
        np.testing.assert_allclose(found, expected, atol=1e-5)
        tokens = rng.integers(4, V, 6).astype(np.int32)
        parents = (np.repeat(np.arange(3), 2) * 2 + rng.integers(0, 2, 6)).astype(np.int32)
    assert states[0][0].shape == (3, D)  # static state keeps one row for each image


@pytest.mark.parametrize(
    "config",
    [GreedyConfig(max_length=8), BeamConfig(beam_size=4, max_length=8), SampleConfig(samples=5, max_length=8)],
    ids=lambda config: config.type,
)
def test_searches_find_the_same_hypotheses(tmp_path, config):
    reference = Reference()
    found = search(stepper_of(reference, tmp_path), FEATURES, config)
    expected = search(reference, FEATURES, config)
    assert [[h.tokens for h in image] for image in found] == [[h.tokens for h in image] for image in expected]
    np.testing.assert_allclose(
        [image[0].log_probability for image in found], [image[0].log_probability for image in expected], atol=1e-4
    )


def test_an_ensemble_has_the_mean_of_the_probabilities(tmp_path):
    references = [Reference(0), Reference(1)]
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    joint = JointStepper([stepper_of(one, folder) for one, folder in zip(references, folders, strict=True)])
    features = EnsembleFeatures([FEATURES, FEATURES[::-1].copy()])
    tokens, parents = np.full(3, START, np.int32), np.arange(3, dtype=np.int32)
    found, state = joint.step(tokens, parents, joint.start(features))
    single = [
        np.exp(one.step(tokens, parents, one.start(part))[0])
        for one, part in zip(references, features.parts, strict=True)
    ]
    np.testing.assert_allclose(np.exp(found), np.mean(single, axis=0), atol=1e-6)
    assert len(state) == 2 and len(joint.members(features)) == 2


def test_impossible_words_stay_impossible_in_an_ensemble():
    class Never:
        def start(self, features):
            return None

        def step(self, tokens, parents, state):
            return np.array([[0.0, -np.inf]], np.float32), state

    found, _ = JointStepper([Never(), Never()]).step(np.zeros(1), np.zeros(1), [None, None])
    assert found.tolist() == [[0.0, -np.inf]]


def test_another_vocabulary_is_refused(tmp_path):
    stepper_of(Reference(), tmp_path)
    with pytest.raises(CheckpointError, match=r"step\.onnx: output 'log_probs'"):
        OnnxStepper(tmp_path / "start.onnx", tmp_path / "step.onnx", (D,), 1, 2, V + 1)
