"""A folder of plain colours, its index, and the command line with the toy embedder."""

import pytest

from tests.support.toy_embedder import ToyEmbedder
from tests.support.toy_index import make_photos


@pytest.fixture
def photos(tmp_path):
    return make_photos(tmp_path / "photos")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "photos.index"


@pytest.fixture
def toy():
    return ToyEmbedder()


@pytest.fixture
def capsmith(toy, monkeypatch, capsys):
    """Calls the command line; returns its exit code, and the lines of output and of errors."""
    from capsmith.cli import keras_import, main
    from capsmith.models import embedders

    monkeypatch.setattr(embedders, "load_embedder", lambda models=None, engine=None: toy)
    monkeypatch.setattr(keras_import, "load_keras", lambda: None)

    def call(*arguments):
        code = main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        return code, output.out.splitlines(), output.err.splitlines()

    return call
