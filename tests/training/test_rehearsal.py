"""What a training repeats so that a model does not forget, and the settings that ask for it."""

from pathlib import Path

import keras
import numpy as np
import pytest

from capsmith.config import load_config
from capsmith.core.errors import CheckpointError, ConfigError
from capsmith.data.batches import Batches
from capsmith.models.captioner import Captioner
from capsmith.training.fit import train
from capsmith.training.rehearsal import RememberedImages, evenly_spaced, first_model
from capsmith.training.teacher import Teacher
from tests.support import shapes


def taught(source, **training):
    """Returns the config of a training that teaches the captioner of shapes the same captions again."""
    run = shapes.trained()
    encoder = load_config(run / "config.yaml").encoders[0].model_dump(mode="json")
    more = {"transfer_from": str(run), "keep_words": True, "epochs": 1, "rehearsal": {"source": source}, **training}
    return load_config(shapes.settings(encoder=encoder, decoder={"units": 64}, training=more))


def test_remembered_images_have_the_regions_of_others():
    """Means are those that are remembered; the regions differ as in the other images; nothing leaves their range."""
    rng = np.random.default_rng(0)
    others = rng.normal(5, 1, (3, 4, 6)).astype("float32")
    pooled = np.full((7, 6), 5.0) + rng.normal(0, 0.1, (7, 6))
    images = RememberedImages(pooled, others)
    found = images.gather(images.rows(["4", "0"]))
    assert found.shape == (2, 4, 6) and images.ids == [str(n) for n in range(7)]
    assert found.min() >= others.min() - 0.01 and found.max() <= others.max() + 0.01
    inside = np.abs(found.mean(1) - pooled[[4, 0]]) < 0.2  # but for what was clipped
    assert inside.mean() > 0.9
    pattern = others[4 % 3] - others[4 % 3].mean(0)
    assert np.corrcoef((found[0] - found[0].mean(0)).ravel(), pattern.ravel())[0, 1] > 0.95
    flat = RememberedImages(pooled, others[:, 0])
    np.testing.assert_allclose(flat.gather(np.array([2]))[0], pooled[2], atol=0.01)


def test_a_domain_gives_back_its_images():
    from capsmith.models.training_domain import TrainingDomain

    vectors = np.random.default_rng(0).normal(size=(200, 8)) * [9, 7, 5, 3, 1, 1, 1, 1] + 4

    class Lookup:
        def features(self, ids):
            return vectors[[int(i) for i in ids]].astype("float32")

    ids = [str(n) for n in range(200)]
    domain = TrainingDomain.of(Lookup(), ids[:150], ids[150:])
    np.testing.assert_allclose(domain.pooled(), vectors[:150], atol=1e-2)


def test_the_teacher_says_what_the_model_says():
    captioner = Captioner.load(shapes.trained(), encoder=False)
    features = np.random.default_rng(0).normal(size=(8, *captioner.feature_shape)).astype("float16")
    tokens = np.random.default_rng(1).integers(4, len(captioner.vocabulary), (8, 4)).astype("int32")
    inputs = {"features": features, "tokens": tokens, "image": np.arange(8, dtype="int32")[::-1].copy()}
    teacher = Teacher(captioner)
    decoder = captioner.model.decoder
    expected = keras.ops.softmax(decoder(features[::-1].astype("float32"), tokens), axis=-1)
    for weight in decoder.weights:
        weight.assign(weight * 0)  # the teacher does not change with the model
    np.testing.assert_allclose(teacher.probabilities(inputs), expected, atol=1e-5)
    grouped = {"features": features[::-1].copy(), "tokens": tokens}
    np.testing.assert_allclose(teacher.probabilities(grouped), expected, atol=1e-5)


@pytest.mark.parametrize(("source", "what"), [("data", "training data"), ("model", "remembers"), ("auto", "data")])
def test_a_source_is_found(tmp_path, log_lines, monkeypatch, source, what):
    seen = []
    load = Batches.load

    def watched(self, index):
        batch = load(self, index)
        seen.append(batch[0].get("old"))
        return batch

    monkeypatch.setattr(Batches, "load", watched)
    train(taught(source), tmp_path / "run")
    assert any(line.startswith("rehearsal: ") and what in line for line in log_lines), log_lines
    assert all(old is not None for old in seen) and 0.3 < np.concatenate(seen).mean() < 0.6


def test_without_a_source_it_is_said(tmp_path, log_lines):
    """A summary needs 40 images; and the data cannot be read."""
    train(load_config(shapes.settings(data={"limit": 12}, training={"epochs": 1})), tmp_path / "old")
    (tmp_path / "old" / "config.yaml").write_text(
        (tmp_path / "old" / "config.yaml").read_text().replace(str(shapes.data()), "gone")
    )
    more = {"transfer_from": str(tmp_path / "old"), "epochs": 1, "keep_words": True}
    train(load_config(shapes.settings(training={**more, "rehearsal": {}})), tmp_path / "new")
    assert any(line.startswith("no rehearsal") and "summary" in line for line in log_lines), log_lines
    with pytest.raises(CheckpointError, match="rehearsal.source model"):
        train(load_config(shapes.settings(training={**more, "rehearsal": {"source": "model"}})), tmp_path / "other")


@pytest.mark.parametrize(
    ("training", "says"),
    [
        ({"keep_words": True}, "keep_words.*transfer_from"),
        ({"rehearsal": {}}, "rehearsal.*transfer_from"),
        ({"transfer_from": "a", "rehearsal": {"share": 1}}, "share"),
        ({"transfer_from": "a", "rehearsal": {"source": "dreams"}}, "source"),
    ],
)
def test_settings_that_make_no_sense(training, says):
    with pytest.raises(ConfigError, match=says):
        load_config(shapes.settings(training=training))


def test_old_words_stay_and_training_resumes(tmp_path):
    """Words that the new captions lack keep their weights; a finished training is resumed with the same vocabulary."""
    root = tmp_path / "data"
    shapes.make_data(root)
    table = root / "captions.csv"
    table.write_text(table.read_text().replace(" red ", " crimson "))
    config = taught("data", learning_rate=1e-12)
    config = config.model_copy(update={"data": config.data.model_copy(update={"root": root})})
    train(config, tmp_path / "run")
    old, new = Captioner.load(shapes.trained(), encoder=False), Captioner.load(tmp_path / "run", encoder=False)
    assert new.vocabulary.words == (*old.vocabulary.words, "crimson")
    axes = {id(weight): axis for weight, axis in new.model.decoder.by_word}
    for one, other in zip(old.model.decoder.weights, new.model.decoder.weights, strict=True):
        value = keras.ops.convert_to_numpy(other)
        if (axis := axes.get(id(other))) is not None:
            value = np.delete(value, -1, axis)
        np.testing.assert_allclose(keras.ops.convert_to_numpy(one), value, atol=1e-6, err_msg=other.path)
    before = (tmp_path / "run" / "model.weights.h5").read_bytes()
    train(config, tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "model.weights.h5").read_bytes() == before
    table.write_text(table.read_text().replace(" crimson ", " scarlet "))
    with pytest.raises(CheckpointError, match="captions have changed"):
        train(config, tmp_path / "run", resume=True)


def test_the_first_of_a_chain(tmp_path):
    assert first_model(Path("nowhere")) == Path("nowhere")
    train(taught("data"), tmp_path / "two")
    assert first_model(tmp_path / "two") == shapes.trained()
    assert first_model(shapes.trained()) == shapes.trained()


def test_evenly_spaced():
    assert evenly_spaced(range(10), 4) == [0, 3, 6, 9]
    assert evenly_spaced([], 4) == [] and evenly_spaced("ab", 4) == ["a", "b"]


def test_images_of_both_trainings_are_familiar(tmp_path):
    """The run that learned more warns of no image that the old one knew, nor of those that it learned."""
    root = tmp_path / "data"
    shapes.make_data(root)
    config = taught("data")
    train(config.model_copy(update={"data": config.data.model_copy(update={"root": root})}), tmp_path / "run")
    old, new = Captioner.load(shapes.trained()), Captioner.load(tmp_path / "run")
    assert len(new.domain.vectors) == 2 * len(old.domain.vectors) and new.domain.threshold == old.domain.threshold
    images = [min((root / "images").iterdir())]
    assert new.domain.distances(new.features(images)) == pytest.approx([0], abs=0.05)
