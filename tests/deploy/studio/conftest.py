"""A folder of small images for the tests of the studio."""

import pytest

from tests.deploy.studio.projects import photos


@pytest.fixture
def folder(tmp_path):
    return photos(tmp_path / "photos")
