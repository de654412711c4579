"""Where configs are searched."""

from pathlib import Path

import pytest

from capsmith.config import load_config
from capsmith.core import config_files
from capsmith.core.config_files import find_config
from tests.support.configs import TEXT, error


@pytest.mark.parametrize("name", ["flickr8k.yaml", "flickr8k"])
def test_a_shipped_config_is_found_from_any_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_config(name).data.type == "flickr8k"


def test_a_file_in_the_current_folder_shadows_a_shipped_config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "flickr8k.yaml").write_text(TEXT)
    assert find_config("flickr8k") == Path("configs/flickr8k.yaml")
    (tmp_path / "flickr8k.yaml").write_text(TEXT)
    assert find_config("flickr8k") == Path("flickr8k.yaml")


@pytest.fixture
def fresh_notes():
    config_files._note.cache_clear()


def test_shadowing_is_reported_once(tmp_path, monkeypatch, capsys, fresh_notes):
    monkeypatch.chdir(tmp_path)
    mine = tmp_path / "flickr8k.yaml"
    mine.write_text(TEXT)
    for _ in range(2):
        assert find_config("flickr8k.yaml") == Path("flickr8k.yaml")
    message = capsys.readouterr().err
    assert message.count("note: ") == 1 and f"flickr8k.yaml is {mine}, not " in message


@pytest.mark.parametrize("name", ["./flickr8k.yaml", "{}/flickr8k.yaml"])
def test_an_explicit_path_is_not_reported(name, tmp_path, monkeypatch, capsys, fresh_notes):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flickr8k.yaml").write_text(TEXT)
    assert load_config(name.format(tmp_path)).data.type == "folder"
    assert not capsys.readouterr().err


def test_an_identical_copy_is_not_reported(tmp_path, monkeypatch, capsys, fresh_notes):
    ours = find_config("flickr8k.yaml").read_bytes()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flickr8k.yaml").write_bytes(ours)
    find_config("flickr8k.yaml")
    assert not capsys.readouterr().err


def test_an_installed_package_contains_the_configs(tmp_path, monkeypatch):
    """The wheel contains them in capsmith/configs."""
    package = tmp_path / "site-packages" / "capsmith"
    (package / "configs").mkdir(parents=True)
    (package / "configs" / "special.yaml").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(config_files, "__file__", str(package / "core" / "config_files.py"))
    assert load_config("special").data.type == "folder"


@pytest.mark.parametrize("name", ["", ".", "..", "/", "nothing", "no/such.yaml", "configs"])
def test_a_missing_config_is_an_error(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert error(name).startswith("no config")


def test_a_missing_config_suggests_the_nearest_name():
    assert "did you mean 'quickstart.yaml'?" in error("quickstrat.yaml")
