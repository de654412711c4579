"""The config that ``init`` writes does not stand before one that comes with capsmith."""

import pytest

from capsmith.cli import main
from capsmith.config import find_config
from capsmith.core.config_files import shipped_configs
from tests.support import toy


@pytest.mark.parametrize(("folder", "config"), [("flickr8k", "my_flickr8k.yaml"), ("birds", "birds.yaml")])
def test_a_folder_called_like_a_config_of_ours(folder, config, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    toy.make_data(tmp_path / folder)
    assert main(["init", folder]) == 0
    assert [path.name for path in tmp_path.glob("*.yaml")] == [config]
    assert f"capsmith train --config {config}" in capsys.readouterr().out
    assert find_config("flickr8k.yaml").parent.name == "configs"


def test_whoever_names_the_file_gets_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    toy.make_data(tmp_path / "flickr8k")
    assert main(["init", "flickr8k", "--out", "folder.yaml"]) == 0
    assert (tmp_path / "folder.yaml").exists()


def test_what_comes_with_capsmith():
    assert {"flickr8k.yaml", "quickstart.yaml"} <= shipped_configs()
