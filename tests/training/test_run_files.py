"""The files of a run that stay the same while it trains: written again when they were removed."""

import shutil

import pytest

from capsmith import Captioner
from capsmith.config import load_config
from capsmith.core.errors import CapsmithError
from capsmith.models.run import RunDirectory
from capsmith.training.run_files import RunFiles

NAMES = {"captioner.json", "config.yaml", "versions.json", "vocabulary.json"}


@pytest.fixture
def files(tiny_run, tmp_path):
    run = shutil.copytree(tiny_run.run, tmp_path / "run")
    return RunFiles(Captioner.load(run), RunDirectory(run), "float32")


def test_what_is_complete_is_left_alone(files, log_lines):
    before = {path: path.stat().st_mtime_ns for path in files.run.path.iterdir()}
    files.restore()
    assert {path: path.stat().st_mtime_ns for path in files.run.path.iterdir()} == before and not log_lines


@pytest.mark.parametrize("removed", [{"vocabulary.json"}, NAMES])
def test_what_was_removed_is_written_again(files, log_lines, removed):
    expected = {name: (files.run.path / name).read_bytes() for name in NAMES}
    for name in removed:
        (files.run.path / name).unlink()
    files.restore()
    assert {name: (files.run.path / name).read_bytes() for name in NAMES} == expected
    assert len(log_lines) == 1 and all(name in log_lines[0] for name in removed)


def test_a_removed_directory_is_created_again(files):
    config = files.captioner.config
    shutil.rmtree(files.run.path)
    files.restore()
    assert NAMES <= {path.name for path in files.run.path.iterdir()}
    assert load_config(files.run.config) == config


def test_a_file_in_its_place_is_an_error(files):
    shutil.rmtree(files.run.path)
    files.run.path.write_text("not a directory")
    with pytest.raises((CapsmithError, OSError)):
        files.restore()
