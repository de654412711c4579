import pytest

from tests.support import toy


@pytest.fixture
def folder(tmp_path):
    """A folder with the toy data set in ``data``."""
    toy.make_data(tmp_path / "data")
    return tmp_path
