"""``validate`` looks whether the files that a config names are there."""

import pytest

from capsmith.cli import main
from capsmith.cli.named_files import missing
from capsmith.config import load_config
from tests.support import toy


@pytest.fixture
def config(tmp_path):
    return toy.settings(toy.make_data(tmp_path / "data"), tmp_path / "cache")


def test_all_there(config):
    assert not list(missing(load_config(config)))


def test_what_is_made_on_the_way_may_be_missing(config, tmp_path, monkeypatch):
    """Drawn scenes, the cache, a first stage with a config of its own, members of an ensemble, an adapted encoder."""
    monkeypatch.chdir(tmp_path)
    config["data"] = {"type": "scenes", "root": "not/yet"}
    config["encoder"] |= {"pretrain_on_words": {"output": "not/yet"}}
    config["training"] |= {"resume_weights_from": "not/yet", "stage_one": {"config": "quickstart.yaml"}}
    config["ensemble"] = [{"run": "not/yet", "config": "quickstart"}]
    assert not list(missing(load_config(config)))


def test_absolute_paths_and_text_files_beside_the_images(config, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    config["data"] |= {"images": str(tmp_path / "elsewhere"), "captions": "images"}
    assert not list(missing(load_config(config)))


def test_validate_tells_all_at_once_and_nothing_on_demand(config, tmp_path, capsys):
    config["data"] |= {"captions": "gone.csv"}
    config["decoder"]["embedding"] |= {"vectors": "glove.txt"}
    path = str(toy.write_config(tmp_path / "config.yaml", config))
    assert main(["validate", "--config", path]) == 2
    output = capsys.readouterr()
    lines = output.err.splitlines()
    assert not output.out and len(lines) == 3 and path in lines[0]
    assert "data.captions" in lines[1] and "gone.csv" in lines[1]
    assert "decoder.embedding.vectors" in lines[2] and "glove.txt" in lines[2]
    assert main(["validate", "--config", path, "--no-files"]) == 0
    assert "gone.csv" in capsys.readouterr().out
