"""The fixture ``tiny_run``: a captioner trained on the toy data, once for all tests that only read it."""

import pytest

from tests import mistakes


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> mistakes.Toy:
    """A dataset, a run trained on it, and its feature store; tests must not write to them."""
    return mistakes.make_toy(tmp_path_factory.mktemp("toy"))
