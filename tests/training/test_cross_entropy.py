"""The loss of cross-entropy training is the mean over words."""

import keras
import numpy as np
import pytest

from capsmith.config import load_config
from capsmith.data.batches import Batches
from capsmith.data.records import Record
from capsmith.data.sources import TrainingSource
from capsmith.data.text.vocabulary import UNK, Vocabulary
from capsmith.training.cross_entropy import encode_captions
from capsmith.training.fit import train
from capsmith.training.history import read_csv
from tests.support import shapes
from tests.support.prepared import prepare_splits
from tests.support.short import settings


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    run = tmp_path_factory.mktemp("fit") / "run"
    return train(load_config(settings()), run), run


def test_the_loss_is_the_mean_over_words(trained):
    """Computed here word by word over the complete train split."""
    captioner, run = trained
    prepared = prepare_splits(captioner.config, "train")
    records = prepared.split("train")
    rows = prepared.source.rows([record.image_id for record in records])
    given = encode_captions(records, captioner.vocabulary, captioner.config, rows)
    batches = Batches(TrainingSource(prepared.source), given, 18, seed=9, group_by_image=False)
    total = words = 0
    for inputs, targets in (batches[index] for index in range(len(batches))):
        logits = keras.ops.convert_to_numpy(captioner.model(inputs)).astype(float)
        log_probabilities = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        rows, positions = np.nonzero(targets)
        total -= log_probabilities[rows, positions, targets[rows, positions]].sum()
        words += len(rows)
    assert words == 72 * (6 + 1) + 72 * (7 + 1)
    assert read_csv(run / "history.csv")[0]["loss"] == pytest.approx(total / words, abs=1e-5)


def test_before_learning_the_loss_is_that_of_word_frequencies(trained):
    """The output bias starts from the word frequencies of the train split."""
    captioner, run = trained
    counts = np.array(captioner.vocabulary.counts, float)
    shares = counts[counts > 0] / counts.sum()
    entropy = -(shares * np.log(shares)).sum()
    assert read_csv(run / "history.csv")[0]["loss"] == pytest.approx(entropy, abs=0.1)
    assert entropy < 0.95 * np.log(len(captioner.vocabulary))


def test_captions_become_examples():
    config = load_config(shapes.settings(text={"max_length": 4}))
    vocabulary = Vocabulary.build([["a", "red", "bar", "here"]])
    captions = ("A red, red bar; a bar!", "...", "a strange bar")
    found = encode_captions(
        [Record("x", None, captions, "train"), Record("y", None, ("!",), "train")], vocabulary, config, [7, 8]
    )
    a, bar, red = vocabulary.encode(["a", "bar", "red"])
    assert [(e.row, e.captions) for e in found] == [(7, ((a, red, red, bar), (a, UNK, bar)))]
