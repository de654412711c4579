"""Training an encoder's last block on words: what it learns, that it resumes, and that the best pass is kept."""

import numpy as np
import pytest

from capsmith.config import load_config
from capsmith.core.errors import CheckpointError, FeatureError
from capsmith.data.records import Corpus
from capsmith.training import word_label_trainer
from capsmith.training.encoder_adaptation import adapt_encoders
from capsmith.training.word_label_trainer import WordLabelTrainer
from capsmith.training.word_labels import WordLabels
from capsmith.vision.encoder import build_encoder
from tests.support.adaptation import asked, scores, settings


def interrupted(config, monkeypatch, at=2):
    """Interrupts the pretraining before a pass."""
    one_pass = WordLabelTrainer._pass

    def dying(self, number, *rest):
        if number == at:
            raise KeyboardInterrupt
        return one_pass(self, number, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(WordLabelTrainer, "_pass", dying)
        with pytest.raises(KeyboardInterrupt):
            adapt_encoders(*asked(config))


def test_an_interrupted_pretraining_resumes_to_the_same_weights(tmp_path, monkeypatch):
    whole, parts = (load_config(settings(tmp_path / name, epochs=3)) for name in ("whole", "parts"))
    adapt_encoders(*asked(whole))
    interrupted(parts, monkeypatch)
    folder, done, one_pass = tmp_path / "parts" / "adapted", [], WordLabelTrainer._pass
    assert (folder / "adapting.npz").exists() and not (folder / "adapted.json").exists()
    monkeypatch.setattr(WordLabelTrainer, "_pass", lambda self, n, *rest: done.append(n) or one_pass(self, n, *rest))
    adapt_encoders(*asked(parts))
    assert done == [2] and not (folder / "adapting.npz").exists()
    assert scores(tmp_path / "parts") == pytest.approx(scores(tmp_path / "whole"), abs=1e-6)
    cores = [build_encoder(config.encoders[0]).core.get_weights() for config in (whole, parts)]
    for one, other in zip(*cores, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_it_does_not_resume_with_other_settings(tmp_path, monkeypatch):
    interrupted(load_config(settings(tmp_path)), monkeypatch, at=1)
    with pytest.raises(CheckpointError, match="other settings .*seed: 0 instead of 7"):
        adapt_encoders(*asked(load_config(settings(tmp_path, seed=7))))


def test_the_best_pass_is_kept(tmp_path, monkeypatch):
    """Of passes with scores 0.5, 0.9 and 0.7, the weights of the second are kept."""
    said, cores = iter([0.5, 0.9, 0.7]), []
    found = WordLabelTrainer._predict

    def watched(self, rows, store):
        cores.append([np.array(w) for w in self.encoder.core.get_weights()])
        return found(self, rows, store)

    monkeypatch.setattr(word_label_trainer, "mean_average_precision", lambda found, there: next(said))
    monkeypatch.setattr(WordLabelTrainer, "_predict", watched)
    config = load_config(settings(tmp_path, epochs=3))
    adapt_encoders(*asked(config))
    kept = build_encoder(config.encoders[0]).core.get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(kept, cores[1], strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(kept, cores[2], strict=True))


def test_a_mirrored_grid_has_the_labels_of_the_mirrored_image(tmp_path):
    """Half of the grids are mirrored, and have the label "right" instead of "left"."""
    config, corpus = asked(load_config(settings(tmp_path)))
    records = corpus.split("train")
    plain, how = (
        build_encoder(config.encoders[0].model_copy(update={"pretrain_on_words": None})),
        config.encoders[0].pretrain_on_words,
    )
    words = WordLabels.of(records, config.text, config.training.flip_word_pairs, 2)
    lesson = WordLabelTrainer(plain, "block3_out", words, how, {})
    given, sure = [], words.of_images(records)
    columns = np.arange(lesson.grid[1], dtype=np.float32)

    class Numbered:
        def gather(self, rows):
            grid = np.zeros((len(rows), *lesson.grid), np.float32)
            grid[:, 0, :, 0] = columns
            grid[:, 0, :, 1] = rows[:, None]
            return grid.reshape(len(rows), -1, lesson.grid[2])

    class Fake:
        optimizer = lesson.model.optimizer

        def train_on_batch(self, seen, said):
            given.append((seen, said))
            return 0.0

    lesson.model = Fake()
    lesson._pass(0, np.arange(len(records)), sure, Numbered())
    turned = 0
    for seen, said in zip(*(np.concatenate(part) for part in zip(*given, strict=True)), strict=True):
        mirrored, own = seen[0, 0, 0] != 0, sure[int(seen[0, 0, 1])]
        turned += mirrored
        np.testing.assert_array_equal(said, own[words.mirrored] if mirrored else own)
    assert 20 < turned < 52


def test_without_dev_images_the_last_pass_counts(tmp_path):
    config, corpus = asked(load_config(settings(tmp_path, epochs=2)))
    adapt_encoders(config, Corpus(tuple(corpus.split("train")), corpus.problems))
    assert scores(tmp_path)[0] < scores(tmp_path)[1] < 0
    assert (tmp_path / "adapted" / "encoder.weights.h5").exists()


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"after": "block9_out"}, FeatureError, "has no layer 'block9_out'"),
        (
            {"min_images": 1000},
            FeatureError,
            "no word occurs .* of 1000 to 54 of the 72 training images",
        ),
        ({"after": "block5_out"}, FeatureError, "encoder.pretrain_on_words.after: 'block5_out' is the last layer"),
        ({"after": "block5_norm"}, FeatureError, "encoder.pretrain_on_words.after: .*'block5_norm'"),
        (
            {"learning_rate": 1e30},
            FeatureError,
            "the loss is .* in pass .: lower encoder.pretrain_on_words.learning_rate",
        ),
    ],
)
def test_invalid_settings_are_refused(tmp_path, changes, error, said):
    with pytest.raises(error, match=said):
        adapt_encoders(*asked(load_config(settings(tmp_path, **changes))))
    assert "learning_rate" in changes or not (tmp_path / "cache").exists()  # reported before the long work
    assert not (tmp_path / "adapted" / "encoder.weights.h5").exists()
