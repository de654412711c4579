"""The choice of a search."""

import importlib.util

import numpy as np
import pytest

from capsmith.retrieval.vectors import ExactSearch, FaissSearch, search_of
from capsmith.retrieval.vectors import search as search_module


@pytest.mark.parametrize(
    "kind, limit, expected",
    [("auto", 9, FaissSearch), ("auto", 10, ExactSearch), ("exact", 9, ExactSearch), ("faiss", 10, FaissSearch)],
)
def test_auto_is_exact_up_to_a_limit(monkeypatch, kind, limit, expected):
    pytest.importorskip("faiss")
    monkeypatch.setattr(search_module, "EXACT_UP_TO", limit)
    assert type(search_of(np.eye(10, dtype=np.float32), kind)) is expected


def test_auto_is_exact_without_faiss(monkeypatch):
    monkeypatch.setattr(search_module, "EXACT_UP_TO", 9)
    monkeypatch.setattr(search_module, "find_spec", lambda name: None)
    assert type(search_of(np.eye(10, dtype=np.float32))) is ExactSearch


def test_the_exact_search_goes_up_to_a_million():
    assert search_module.EXACT_UP_TO == 1_000_000 and importlib.util.find_spec is search_module.find_spec
