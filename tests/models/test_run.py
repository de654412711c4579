"""The run directory: which files exist, and which are removed."""

import ast
import multiprocessing
import os
from pathlib import Path

import pytest

import capsmith
from capsmith.core.errors import CheckpointError, ConfigError
from capsmith.models.run import RunDirectory


def test_a_run_directory_is_a_path(tmp_path):
    run = RunDirectory(tmp_path)
    assert os.fspath(run) == str(run) == str(tmp_path)
    assert run.weights == tmp_path / "model.weights.h5"
    assert RunDirectory.named(str(tmp_path)) == run
    with pytest.raises(ConfigError, match="--run"):
        RunDirectory.named("", "--run")


def test_require_refuses_what_is_not_a_run(tmp_path):
    run = RunDirectory(tmp_path / "run")
    with pytest.raises(CheckpointError, match="run"):
        run.require()
    run.path.mkdir()
    with pytest.raises(CheckpointError, match="config.yaml"):
        run.require()
    run.config.touch()
    run.require()
    run.vocabulary.touch()
    with pytest.raises(CheckpointError, match="captioner.json") as caught:
        run.require_complete()
    assert "vocabulary.json" not in str(caught.value)
    run.captioner.touch()
    run.require_complete()


def test_encoder_folders(tmp_path):
    run = RunDirectory(tmp_path)
    assert [folder.path for folder in run.encoders(1)] == [tmp_path]
    assert [folder.weights for folder in run.encoders(2)] == [
        tmp_path / "encoder_1" / "encoder.weights.h5",
        tmp_path / "encoder_2" / "encoder.weights.h5",
    ]


def test_foreign_files_are_listed(tmp_path):
    run = RunDirectory(tmp_path)
    assert run.foreign_file() is None
    run.history.touch()
    assert run.foreign_file() == run.history
    run.lock.touch()  # as after an interrupted training
    assert run.foreign_file() is None
    run.config.touch()
    assert run.foreign_file() == run.config
    run.versions.touch()
    assert run.foreign_file() is None


def _try_lock(path, busy):
    try:
        with RunDirectory(path).locked():
            busy.put("")
    except CheckpointError as error:
        busy.put(str(error))


def test_the_lock_excludes_other_processes(tmp_path):
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    with RunDirectory(tmp_path).locked():
        process = context.Process(target=_try_lock, args=(tmp_path, results))
        process.start()
        assert str(tmp_path) in results.get(timeout=60)
        process.join()


def test_clear_removes_only_run_files(tmp_path):
    run = RunDirectory(tmp_path)
    ours = [*run.files, *RunDirectory(run.stage_one).files, *run.encoders(2)[1].files]
    ours += [
        run.report / "index.html",
        run.report / "dev" / "scores.json",
        run.report / "dev" / "images" / "copies.json",
    ]
    foreign = [tmp_path / "photo.jpg", run.report / "notes.txt", run.stage_one / "notes.txt", run.test_readings]
    for path in [*ours, *foreign, run.lock]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("[]")
    elsewhere = tmp_path.with_name("elsewhere")
    elsewhere.mkdir()
    (elsewhere / run.history.name).touch()
    run.encoders(3)[2].path.symlink_to(elsewhere)
    run.clear()
    assert (elsewhere / run.history.name).exists()
    assert not any(path.exists() for path in ours)
    assert all(path.exists() for path in [*foreign, run.lock])
    assert not run.encoders(2)[1].path.exists() and not (run.report / "dev").exists()


def test_no_other_module_names_a_run_file():
    """Names of run files are defined in models/run.py; those of encoder files in vision/encoder_folder.py."""
    package = Path(capsmith.__file__).parent
    run = RunDirectory(Path())
    names = {path.name for path in [*run.files, run.test_readings, run.ensemble, run.lock]}
    owners = {package / "models" / "run.py", package / "vision" / "encoder_folder.py", package / "core" / "locks.py"}
    owners |= {package / "retrieval" / "index_file.py", package / "retrieval" / "judge_file.py"}
    owners.add(package / "models" / "export_folder.py")  # an export has files of the same names
    owners |= {package / "vision" / "weights.py"}  # names a member of Keras's own archives
    owners.add(package / "models" / "clip" / "preset.py")  # a preset of keras-hub has files of the same names
    owners |= {package / "models" / "external" / "hub_preset.py", package / "vision" / "hub" / "presets.py"}
    found = [
        f"{path.relative_to(package)}:{node.lineno}: {node.value}"
        for path in sorted(package.rglob("*.py"))
        if path not in owners
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in names
    ]
    assert found == []
