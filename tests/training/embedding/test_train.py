"""Training of joint embeddings: what it learns, resuming, batches and copies."""

import numpy as np
import pytest

from capsmith import load_config, train
from capsmith.core.errors import CheckpointError
from capsmith.data.batches import Example
from capsmith.data.sources import TrainingSource
from capsmith.training import loop
from capsmith.training.embedding.batches import PairBatches
from capsmith.training.embedding.images import copies
from capsmith.training.history import read_csv
from tests.support.toy_embedding import embedding_settings


def test_it_learns(tiny_embedding):
    rows = read_csv(tiny_embedding / "history.csv")
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]
    best = max(row["dev_recall"] for row in rows)
    assert best > 0.45  # chance: (1 + 5 + 10) / 24 / 3 = 0.22
    assert {f"dev_{way}_r{k}" for way in ("i2t", "t2i") for k in (1, 5, 10)} < rows[0].keys()


def test_a_resumed_training_gives_the_same_numbers(tmp_path, monkeypatch):
    changes = {"training": {"epochs": 2, "ema": 0.9, "checkpoint_every": 0}}
    config = load_config(embedding_settings(**changes))
    train(config, tmp_path / "whole")
    steps, step = [], loop.TrainingLoop._train_step

    def interrupted(self, *args):
        steps.append(args)
        if len(steps) == 7:
            raise KeyboardInterrupt
        step(self, *args)

    monkeypatch.setattr(loop.TrainingLoop, "_train_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "parts")
    monkeypatch.undo()
    train(config, tmp_path / "parts", resume=True)
    for row, other in zip(*(read_csv(tmp_path / name / "history.csv") for name in ("whole", "parts")), strict=True):
        assert {**row, "seconds": 0} == pytest.approx({**other, "seconds": 0}, abs=1e-6)
    whole, parts = (np.load(tmp_path / name / "embedding.npz") for name in ("whole", "parts"))
    for name in whole.files:  # threads add the gradients of a word in any order
        last_place = 2 * float(np.abs(np.spacing(whole[name])).max()) if whole[name].dtype == np.float16 else 0
        assert parts[name] == pytest.approx(whole[name], abs=2e-5 + last_place)
    other = load_config(embedding_settings(training={"epochs": 2, "temperature": 0.1}))
    with pytest.raises(CheckpointError, match=r"training\.ema|training\.temperature"):
        train(other, tmp_path / "whole", resume=True)


class Flipping(TrainingSource):
    """Six images whose odd rows are mirrored."""

    def __init__(self):
        super().__init__(None)

    def gather(self, rows):
        return np.asarray(rows, np.float32)[:, None]

    def draw(self, rows, rng):
        return rows + 100 * rng.integers(2, size=len(rows))

    def flipped(self, rows):
        return rows >= 100


def test_batches():
    examples = [Example(n, tuple((10 * n + k,) for k in range(3 if n else 2))) for n in range(6)]
    flipped = np.arange(100) + 1
    batches = PairBatches(Flipping(), examples, np.array([0, 1, 1, 3, 4, 5]), 4, 2, 3, flipped)
    assert len(batches) == 3 and batches.images == 2  # of one pass: 17 captions are about three for each image
    for epoch in (0, 1):
        batches.set_epoch(epoch)
        loaded = [batches.load(n) for n in range(len(batches))]
        seen = sorted(row for inputs, _ in loaded for row in inputs["features"][:, 0] % 100)
        assert seen == [0, 1, 2, 3, 4, 5]
        for inputs, groups in loaded:
            rows, image = inputs["features"][:, 0].astype(int), inputs["image"]
            captions = inputs["tokens"][:, 0] - (rows >= 100)[image]  # a mirrored caption has other words
            assert (captions // 10 == (rows % 100)[image]).all() and len(set(captions)) == 4
            assert (groups == inputs["groups"][image]).all()
            assert inputs["groups"].tolist() == [[0, 1, 1, 3, 4, 5][row % 100] for row in rows]
    again = PairBatches(Flipping(), examples, np.arange(6), 4, 2, 3, flipped)
    again.set_epoch(1)
    assert (again.load(0)[0]["tokens"] == batches.load(0)[0]["tokens"]).all()


def test_copies(monkeypatch):
    monkeypatch.setattr("capsmith.training.embedding.images._BLOCK", 2)
    vectors = np.eye(4, dtype=np.float32)[[0, 1, 0, 2, 1, 0]]
    assert copies(vectors).tolist() == [0, 1, 0, 3, 1, 0]
