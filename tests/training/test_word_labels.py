"""Which words are predicted, and how well: labels and average precision by hand."""

import numpy as np
import pytest

from capsmith.config import load_config
from capsmith.data.records import Record
from capsmith.training.word_labels import WordLabels, mean_average_precision
from tests.support.adaptation import asked, settings


def test_mean_average_precision_by_hand():
    """Mean of the precision at each positive image; a word with fewer than five positive images does not count."""
    there = np.zeros((12, 2), bool)
    there[[0, 2, 5, 6, 9], 0] = True
    there[0, 1] = True
    found = np.stack([-np.arange(12.0), np.arange(12.0)], axis=1)
    assert mean_average_precision(found, there) == pytest.approx((1 / 1 + 2 / 3 + 3 / 6 + 4 / 7 + 5 / 10) / 5)
    assert mean_average_precision(found[:, 1:], there[:, 1:]) is None


def test_word_pairs_are_swapped_for_mirrored_images(tmp_path):
    config, corpus = asked(load_config(settings(tmp_path)))
    words = WordLabels.of(corpus.split("train"), config.text, config.training.flip_word_pairs, 2)
    left, right, red = (words.column[word] for word in ("left", "right", "red"))
    assert (words.mirrored[left], words.mirrored[right], words.mirrored[red]) == (right, left, red)
    assert "a" not in words.column  # it occurs in every image's captions
    record = next(r for r in corpus.split("train") if r.image_id.startswith("red_bar_left"))
    sure = words.of_images([record])
    assert sure[0, left] == sure[0, red] == 1.0 and sure[0, right] == 0.0
    once = Record(record.image_id, record.path, (*record.captions[:1], "a green thing"), "train")
    assert words.of_images([once])[0, red] == 0.5
