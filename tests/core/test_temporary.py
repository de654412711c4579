"""Temporary files of killed processes are removed; those of running processes and other files stay."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from capsmith.core import temporary
from capsmith.core.files import write_text
from capsmith.core.temporary import PREFIX, remove_abandoned, temporary_file, temporary_folder

WRITE = """
import os, signal, sys, time
from pathlib import Path
from capsmith.core.files import atomic
from capsmith.core.temporary import temporary_folder
what, path, then = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
def end():
    print("there", flush=True)
    if then == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.stdin.read()
if what == "file":
    with atomic(path) as file:
        file.write("half")
        end()
else:
    with temporary_folder(path) as folder:
        (folder / path.name).write_text("half")
        end()
"""


@pytest.fixture(autouse=True)
def forgetful(monkeypatch):
    """Resets the once-per-process state of the sweep before each test."""
    monkeypatch.setattr(temporary, "_cleaned", set())


def start(what, path, then):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITE, what, str(path), then], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "there\n"
    return process


def left(folder):
    return [name for name in os.listdir(folder) if name.startswith(PREFIX)]


@pytest.mark.parametrize("what", ["file", "folder"])
def test_files_of_a_killed_process_are_removed_by_the_next_write(tmp_path, what):
    process = start(what, tmp_path / "a.json", "die")
    assert process.wait(60) == -signal.SIGKILL
    assert len(left(tmp_path)) == 1
    write_text(tmp_path / "b.json", "{}")
    assert sorted(os.listdir(tmp_path)) == ["b.json"]


@pytest.mark.parametrize("what", ["file", "folder"])
def test_files_of_a_running_process_stay(tmp_path, what):
    process = start(what, tmp_path / "a.json", "wait")
    write_text(tmp_path / "b.json", "{}")
    assert len(left(tmp_path)) == 1
    process.communicate("")
    assert process.returncode == 0 and not left(tmp_path)
    assert (tmp_path / "a.json").exists() == (what == "file")


def test_files_of_another_thread_stay(tmp_path):
    with temporary_file(tmp_path / "a") as (handle, name):
        temporary._cleaned.clear()
        thread = threading.Thread(target=remove_abandoned, args=(tmp_path,))
        thread.start()
        thread.join()
        assert os.path.exists(name)
        os.close(handle)
    assert os.listdir(tmp_path) == []


def test_files_with_similar_names_stay(tmp_path):
    names = [
        ".capsmith",
        ".capsmith-notes",
        ".capsmith-12345678notes",
        ".config.settings",
        ".weights-mine",
        "capsmith-ab12cd34-x",
    ]
    for name in names:
        (tmp_path / name).write_text("precious")
    (tmp_path / ".capsmith-ab12cd34-x").symlink_to(tmp_path / ".capsmith")
    (tmp_path / ".capsmith-ab12cd34-old.json").write_text("half")
    remove_abandoned(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted([*names, ".capsmith-ab12cd34-x"])


def test_a_file_removed_before_it_was_locked_is_created_again(tmp_path, monkeypatch):
    make, made = temporary.tempfile.mkstemp, []

    def swept_at_once(**options):
        handle, name = make(**options)
        made.append(name)
        if len(made) == 1:
            os.unlink(name)
        return handle, name

    monkeypatch.setattr(temporary.tempfile, "mkstemp", swept_at_once)
    write_text(tmp_path / "a", "all of it")
    assert len(made) == 2 and (tmp_path / "a").read_text() == "all of it"


@pytest.mark.parametrize(("age", "stays"), [(60, True), (2 * 24 * 3600, False)])
def test_without_file_locks_old_files_are_removed(tmp_path, monkeypatch, age, stays):
    def no_locks(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(temporary.fcntl, "flock", no_locks)
    path = tmp_path / ".capsmith-ab12cd34-state.npz"
    path.write_text("half")
    os.utime(path, (path.stat().st_mtime - age,) * 2)
    write_text(tmp_path / "a", "x")
    assert path.exists() == stays


@pytest.mark.parametrize("name", ["n" * 255, "é" * 127, "a\nb"])
def test_names_of_maximum_length(tmp_path, name):
    write_text(tmp_path / name, "x")
    assert os.listdir(tmp_path) == [name]


def test_an_error_leaves_no_temporary_folder(tmp_path):
    with pytest.raises(KeyboardInterrupt), temporary_folder(tmp_path / "m.weights.h5") as folder:
        (folder / "m.weights.h5").write_text("half")
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []
