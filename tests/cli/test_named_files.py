"""``validate`` checks that the files that a config names exist."""

import pytest

from capsmith.cli import main
from capsmith.cli.named_files import missing
from capsmith.config import load_config
from tests.support import toy


@pytest.fixture
def config(tmp_path):
    return toy.settings(toy.make_data(tmp_path / "data"), tmp_path / "cache")


def test_a_config_whose_files_exist_has_no_errors(config):
    assert not list(missing(load_config(config)))


def test_files_that_training_creates_may_be_missing(config, tmp_path, monkeypatch):
    """Drawn scenes, the cache, a first stage with a config file, members of an ensemble, an adapted encoder."""
    monkeypatch.chdir(tmp_path)
    config["data"] = {"type": "scenes", "root": "not/yet"}
    config["encoder"] |= {"pretrain_on_words": {"output": "not/yet"}}
    config["training"] |= {"resume_weights_from": "not/yet", "stage_one": {"config": "quickstart.yaml"}}
    config["ensemble"] = [{"run": "not/yet", "config": "quickstart"}]
    assert not list(missing(load_config(config)))


def test_absolute_paths_and_text_files_beside_the_images_are_checked(config, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    config["data"] |= {"images": str(tmp_path / "elsewhere"), "captions": "images"}
    assert not list(missing(load_config(config)))


def test_validate_lists_all_missing_files_and_can_skip_the_check(config, tmp_path, capsys):
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
