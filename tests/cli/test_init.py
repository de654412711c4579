"""The config that ``init`` writes does not shadow a config shipped with capsmith."""

import pytest

from capsmith.cli import main
from capsmith.config import find_config
from capsmith.core.config_files import shipped_configs
from tests.support import toy


@pytest.mark.parametrize(("folder", "config"), [("flickr8k", "my_flickr8k.yaml"), ("birds", "birds.yaml")])
def test_a_folder_named_like_a_shipped_config_gets_another_file_name(folder, config, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    toy.make_data(tmp_path / folder)
    assert main(["init", folder]) == 0
    assert [path.name for path in tmp_path.glob("*.yaml")] == [config]
    assert f"capsmith train --config {config}" in capsys.readouterr().out
    assert find_config("flickr8k.yaml").parent.name == "configs"


def test_an_explicit_file_name_is_used(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    toy.make_data(tmp_path / "flickr8k")
    assert main(["init", "flickr8k", "--out", "folder.yaml"]) == 0
    assert (tmp_path / "folder.yaml").exists()


def test_shipped_configs_are_recognised():
    assert {"flickr8k.yaml", "quickstart.yaml"} <= shipped_configs()
