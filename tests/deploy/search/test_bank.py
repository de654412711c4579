"""Images of an index, as what popularity is measured against."""

import numpy as np
import pytest

from capsmith.deploy.search import bank as module
from capsmith.deploy.search.bank import bank_of_index
from capsmith.deploy.search.build import build_index
from capsmith.deploy.search.index_file import ImageIndexError, IndexModelError
from tests.support.toy_embedder import ToyEmbedder


def test_a_bank_has_the_vectors_of_the_images(photos, out, toy, monkeypatch):
    build_index(photos, out, toy)
    with pytest.raises(ImageIndexError, match="too few"):
        bank_of_index(out, toy)
    monkeypatch.setattr(module, "LEAST", 2)
    bank = bank_of_index(out, toy)
    assert bank.shape[1] == toy.size and len(bank) >= 2
    np.testing.assert_allclose(np.linalg.norm(bank, axis=1), 1, atol=2e-3)
    monkeypatch.setattr(module, "MOST", 2)
    np.testing.assert_array_equal(bank_of_index(out, toy), bank[[0, -1]])


def test_a_bank_of_another_model_is_refused(photos, out, toy):
    build_index(photos, out, toy)
    with pytest.raises(IndexModelError):
        bank_of_index(out, ToyEmbedder(fingerprint="toy-2"))
