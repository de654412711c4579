"""Files written by capsmith may be replaced, even after an interruption; other files never are."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from capsmith.cli import main
from capsmith.config import load_config
from capsmith.core import outputs
from capsmith.core.errors import ConfigError
from capsmith.core.input_files import input_files
from capsmith.core.outputs import require_image_name, require_page
from tests import mistakes
from tests.mistakes.writing import full_after
from tests.support import toy

KILLED = """
import os, signal, sys
from capsmith.cli import main
count, replace = [0], os.replace
def killing(*args):
    count[0] += 1
    if count[0] == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    replace(*args)
os.replace = killing
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture
def inspect(tmp_path, tiny_run):
    """Returns the command that inspects the toy data into ``page``."""
    config = toy.write_config(tmp_path / "toy.yaml", toy.settings(tiny_run.data, tmp_path / "cache"))
    return ["inspect", "--config", str(config), "--out", str(tmp_path / "page"), "--images", "4", "--fast"]


def page_files(folder):
    """Returns the files of a page; asserts that its image copies are those it lists."""
    copies = set(json.loads((folder / "images" / "copies.json").read_text()))
    assert {path.name for path in (folder / "images").iterdir()} == copies | {"copies.json"}
    return {path.relative_to(folder) for path in folder.rglob("*")}


def test_an_inspection_interrupted_at_any_moment_can_be_repeated(inspect, tmp_path, monkeypatch):
    assert main(inspect) == 0
    expected, replace = page_files(tmp_path / "page"), os.replace
    for moment in range(1, 99):
        shutil.rmtree(tmp_path / "page")
        count = 0

        def interrupting(*args, moment=moment):
            nonlocal count
            count += 1
            if count == moment:
                raise KeyboardInterrupt
            replace(*args)

        monkeypatch.setattr(os, "replace", interrupting)
        interrupted = main(inspect)
        monkeypatch.setattr(os, "replace", replace)
        assert main(inspect) == 0, moment
        assert page_files(tmp_path / "page") == expected
        if interrupted == 0:
            break
    assert moment > len(expected) / 2


@pytest.mark.parametrize("moment", [1, 2, 4])
def test_a_killed_inspection_can_be_repeated(inspect, tmp_path, moment):
    done = subprocess.run([sys.executable, "-c", KILLED, str(moment), *inspect], capture_output=True, timeout=120)
    assert done.returncode == -signal.SIGKILL
    again = subprocess.run([sys.executable, "-m", "capsmith", *inspect], capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr
    page_files(tmp_path / "page")


@pytest.mark.parametrize("size", [0, 10, 800])
def test_an_inspection_stopped_by_a_full_disk_can_be_repeated(inspect, tmp_path, size):
    with full_after(size)(None):
        assert main(inspect) == 2
    assert main(inspect) == 0
    page_files(tmp_path / "page")


def test_the_next_inspection_removes_copies_of_an_interrupted_one(inspect, tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, "5", *inspect], capture_output=True, timeout=120)
    assert main([*inspect, "--seed", "7"]) == 0
    page_files(tmp_path / "page")


def test_a_sheet_can_be_replaced_directly_and_through_a_link(tmp_path, tiny_run, capsys):
    image = str(tiny_run.data / "images" / "red_ball.png")
    sheet = tmp_path / "sheet.png"
    for name in ("sheet.png", "sheet.png", "link.png"):
        assert main(["caption", str(tiny_run.run), image, "--show", str(tmp_path / name)]) == 0
        if not (tmp_path / "link.png").exists():
            (tmp_path / "link.png").symlink_to(sheet)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["sheet", "sheet.xyz", ".png", "sheet.eps.txt", "sheet.ico.gz"])
def test_outputs_with_other_endings_are_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="--show"):
        require_image_name(tmp_path / name, "--show")


def test_a_report_replaces_a_report_and_leaves_other_files(tmp_path, tiny_run):
    run = shutil.copytree(tiny_run.run, tmp_path / "run")  # evaluation appends to its log of test readings
    command = ["evaluate", str(run), "--set", f"features.cache={tiny_run.cache}", "--out", str(tmp_path / "o")]
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "mine.txt").write_text("precious")
    assert main(command) == 0
    (tmp_path / "o" / "index.html").unlink()  # as after a kill before the page was written
    assert main(command) == 0
    assert (tmp_path / "o" / "mine.txt").read_text() == "precious" and (tmp_path / "o" / "index.html").exists()


def test_an_empty_images_folder_may_be_used(tmp_path):
    (tmp_path / "images").mkdir()
    require_page(tmp_path, "--out")
    (tmp_path / "images" / "photo.jpg").write_text("x")
    with pytest.raises(ConfigError, match="images"):
        require_page(tmp_path, "--out")
    (tmp_path / "images" / "copies.json").write_text('{"of": "somebody else"}')
    with pytest.raises(ConfigError, match="images"):
        require_page(tmp_path, "--out")


def test_paths_that_a_config_reads_are_listed(tmp_path):
    values = toy.settings(tmp_path / "data", tmp_path / "cache")
    values["decoder"]["embedding"] = {"size": 8, "vectors": "glove.txt"}
    result = input_files(load_config(values))
    assert {tmp_path / "data" / "captions.csv", tmp_path / "data" / "images"} < set(result)
    assert outputs.Path("glove.txt") in result


def test_an_interrupted_smoke_run_is_replaced(tmp_path, tiny_run):
    """Whether killed before or after its config was written, its folder is recognised."""
    config = toy.write_config(tmp_path / "toy.yaml", toy.settings(tiny_run.data, tiny_run.cache))
    folder = tmp_path / "x-smoke"
    folder.mkdir()
    (folder / ".lock").touch()
    (folder / "log.txt").write_text("half a l")
    (folder / "photo.jpg").write_text("precious")
    assert main(["train", "--config", str(config), "--run", str(tmp_path / "x"), "--smoke"]) == 0
    assert "half a l" not in (folder / "log.txt").read_text() and (folder / "photo.jpg").exists()


def test_empty_paths_are_refused_in_python(tiny_run):
    from capsmith import Captioner, evaluate, train

    config = load_config(tiny_run.run / "config.yaml")
    for call in (lambda: Captioner.load(""), lambda: evaluate(""), lambda: train(config, ""), lambda: load_config("")):
        with pytest.raises(ConfigError, match="empty"):
            call()


def test_tests_can_drop_roots_privileges(tmp_path):
    (tmp_path / "a").write_text("x")
    (tmp_path / "a").chmod(0)
    with mistakes.outputs.without_privileges(), pytest.raises(PermissionError):
        (tmp_path / "a").read_text()
    (tmp_path / "a").chmod(0o600)
    assert (tmp_path / "a").read_text() == "x"
