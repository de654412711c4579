"""Every case of ``tests/mistakes`` is refused with one line and exit code 2; valid input is accepted."""

import dataclasses
import json
import os
import pickle
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml
from PIL import Image

from tests import mistakes
from tests.mistakes import CASES, Case, Workshop, attempt, run
from tests.mistakes.encoders import lambda_model
from tests.mistakes.features import Payload
from tests.mistakes.images import bomb
from tests.mistakes.writing import read_only
from tests.support import toy


@pytest.fixture
def shop(tmp_path, tiny_run):
    return Workshop(tmp_path, tiny_run)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_invalid_input_is_refused(case, shop):
    outcome = attempt(case, shop)
    assert not outcome.faults, f"{outcome.faults}\n{outcome.errors}"


def test_cases_have_unique_names():
    assert len(CASES) >= 400
    assert len({case.name for case in CASES}) == len(CASES)
    assert all(case.says for case in CASES)


# --- the checks themselves can fail -----------------------------------------------------------------------------------


def good(shop):
    return ["validate", "--quiet", "--config", shop.config()]


def bad(shop):
    return ["validate", "--config", shop.config(decoder={"untis": 5})]


def faults(shop, prepare, **more):
    return " | ".join(attempt(Case("a control", prepare, more.pop("says", ()), **more), shop).faults)


def test_a_successful_command_is_a_fault(shop):
    assert "exit code 0 instead of 2" in faults(shop, good)


def test_a_message_without_the_expected_key_is_a_fault(shop):
    assert faults(shop, bad, says=("decoder.units",)) == "the message does not say 'decoder.units'"


def test_an_unexpected_exception_is_a_fault(shop, monkeypatch):
    def fail(*_):
        raise LookupError("a bug")

    monkeypatch.setattr("capsmith.config.load_config", fail)
    assert "a traceback: LookupError: a bug" in faults(shop, good)


def test_changed_removed_or_leftover_files_are_faults(shop, monkeypatch):
    def spoil(*_):
        (shop / "changed").write_text("new")
        (shop / "gone").unlink()
        (shop / ".config.yaml.x7").write_text("half")
        raise OSError(5, "Input/output error", "somewhere")

    def prepare(shop):
        shop.write("changed", "old")
        shop.write("gone", "old")
        return good(shop)

    monkeypatch.setattr("capsmith.config.load_config", spoil)
    result = faults(shop, prepare)
    assert "changed was changed" in result and "gone is gone" in result and "x7 is left over" in result


def test_the_hostile_files_execute_code_in_ordinary_readers(tmp_path):
    sentinel = tmp_path / "EXECUTED"
    pickle.loads(pickle.dumps(Payload(sentinel)))
    assert sentinel.exists()
    sentinel.unlink()
    yaml.unsafe_load(f"!!python/object/apply:os.system ['touch {sentinel}']")
    assert sentinel.exists()
    import keras

    path = lambda_model(tmp_path / "mine.keras", sentinel)
    assert not sentinel.exists()
    keras.saving.load_model(path, safe_mode=False)
    assert sentinel.exists()


def test_the_bomb_is_a_complete_image(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    small = tmp_path / "small.png"
    small.write_bytes(bomb(200))
    assert Image.open(small).getextrema() == (0, 0)
    assert len(bomb()) < 1_000_000


def test_a_read_only_folder_can_be_read_and_not_changed(shop):
    kept = shop.write("ro/kept", "old")
    other = shop.write("free", "old")
    changes = [
        lambda: (shop / "ro" / "new").write_text("new"),
        lambda: kept.open("a"),
        lambda: kept.open("r+b"),
        lambda: os.open(kept, os.O_RDWR),
        lambda: (shop / "ro" / "folder").mkdir(),
        lambda: kept.unlink(),
        lambda: os.replace(other, kept),
        lambda: os.replace(kept, other),
        lambda: tempfile.mkstemp(dir=shop / "ro"),
    ]
    before = mistakes.snapshot(shop.folder)
    with read_only("ro")(shop):
        for change in changes:
            with pytest.raises(OSError, match="Read-only file system"):
                change()
        assert kept.read_text() == "old"
        other.write_text("new")
    assert mistakes.snapshot(shop.folder).keys() == before.keys() and kept.read_text() == "old"
    kept.write_text("new")


# --- valid input ------------------------------------------------------------------------------------------------------


def extracted(shop, **changes):
    """Extracts features; returns the ids of the store, sorted."""
    outcome = run(["extract", "--config", shop.config(**changes)])
    assert outcome.code == 0, outcome.errors
    return sorted(json.loads((Path(outcome.output.strip()) / "manifest.json").read_text())["ids"])


ALL = sorted({row["image"] for row in toy.rows()})


@pytest.mark.parametrize(
    "form",
    [{"encoding": "utf-8-sig"}, {"newline": "\r\n"}, {"encoding": "utf-8-sig", "newline": "\r\n"}, {"newline": "\r"}],
    ids=["BOM", "CRLF", "BOM and CRLF", "CR"],
)
def test_captions_with_a_bom_or_crlf_are_read(shop, form):
    path = shop.data() / "captions.csv"
    text = path.read_text()
    with path.open("w", **{"encoding": "utf-8", **form}) as file:
        file.write(text)
    assert path.read_bytes() != text.encode()
    assert extracted(shop) == ALL


def test_duplicate_rows_below_the_threshold_are_counted_and_skipped(shop):
    toy.write_captions(shop.data() / "captions.csv", [*toy.rows(), toy.rows()[0]])
    outcome = run(["extract", "--config", shop.config(data={"max_bad_fraction": 0.05})])
    assert outcome.code == 0
    assert "1 ×" in outcome.errors and "red_ball.png" in outcome.errors


def test_a_missing_image_below_the_threshold_is_skipped(shop):
    (shop.data() / "images" / "red_ball.png").unlink()
    assert extracted(shop, data={"max_bad_fraction": 0.1}) == [name for name in ALL if name != "red_ball.png"]


def test_an_unreadable_image_below_the_threshold_is_skipped_and_reported(shop):
    (shop.data() / "images" / "red_ball.png").write_bytes(b"")
    outcome = run(["extract", "--config", shop.config(features={"max_bad_fraction": 0.1})])
    assert outcome.code == 0
    assert "red_ball.png" in outcome.errors and "empty" in outcome.errors


def test_a_hostile_pickle_among_the_images_does_not_change_the_run(shop):
    copy = shop.run()
    before = mistakes.snapshot(copy)
    (shop.store() / "features.pkl").write_bytes(pickle.dumps(Payload(shop.sentinel)))
    assert run(["evaluate", str(copy), "--set", f"features.store={shop / 'store'}"]).code == 2
    assert mistakes.snapshot(copy) == before and not shop.sentinel.exists()


# --- the process itself -----------------------------------------------------------------------------------------------


def python(*arguments, **more):
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=300, errors="surrogateescape", **more
    )


def test_errors_as_a_module_and_with_debug(shop):
    config = shop.config(decoder={"untis": 5})
    plain = python("-m", "capsmith", "validate", "--config", config)
    assert plain.returncode == 2
    assert plain.stderr.count("\n") == 1 and plain.stderr.startswith("capsmith: ")
    debug = python("-m", "capsmith", "validate", "--config", config, "--debug")
    assert debug.returncode != 0
    assert "Traceback" in debug.stderr and "ConfigError" in debug.stderr


def test_the_train_script_reports_errors(shop):
    script = "import sys; from capsmith.cli import train_main; sys.exit(train_main())"
    done = python("-c", script, "--config", shop.config(decoder={"untis": 5}))
    assert done.returncode == 2 and "did you mean 'units'?" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["trian"], ["train"], ["caption"], ["list", "cats"]])
def test_an_invalid_command_line_is_an_error(arguments, capsys):
    assert run(arguments).code == 2


@pytest.mark.parametrize("backend", ["tensrflow", "numpy.random"])
def test_an_unknown_backend_is_an_error(shop, backend):
    done = python(
        *["-m", "capsmith", "caption", str(shop.toy.run), "x.png"], env={**os.environ, "KERAS_BACKEND": backend}
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("capsmith: ") and done.stderr.count("\n") == 1
    assert f"KERAS_BACKEND={backend}" in done.stderr


def test_names_that_the_terminal_cannot_show(shop):
    folder = shop / "caf\udce9"
    shutil.copytree(shop.toy.data / "images", folder)
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = python("-m", "capsmith", "caption", str(shop.toy.run), str(folder), env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("caf\\udce9") == len(ALL)


def test_a_disk_that_is_really_full_is_an_error(shop):
    """Uses a separate file system, too small for the checkpoint, which is unmounted when the process ends."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    disk = shop / "disk"
    disk.mkdir()
    shop.sections["features"]["cache"] = str(shop.toy.cache)
    train = f"'{sys.executable}' -m capsmith train --config '{shop.config()}' --run '{disk}/run'"
    script = f"mount -t tmpfs -o size=1000k none '{disk}' && {train}; code=$?; ls -A '{disk}'; exit $code"
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 2, done.stderr
    assert "No space left on device" in done.stderr.splitlines()[-1]
    assert done.stderr.count("capsmith: ") == 1 and "Traceback" not in done.stderr
    assert not done.stdout  # training had not begun: the run directory is removed


def test_folders_that_are_really_read_only(shop):
    """Folders mounted read-only in a namespace of the process are refused as outputs."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    run_, cache = shop.run(), shop / "cache"
    cache.mkdir()
    image = shop.toy.data / "images" / "red_ball.png"
    before = mistakes.snapshot(shop.folder)
    config = shop.config()
    commands = {
        ("train", "--config", str(config), "--run", f"{run_}/new"): 2,
        ("extract", "--config", str(config)): 2,
        ("evaluate", str(run_), "--set", f"features.cache={shop.toy.cache}"): 2,
        ("caption", str(run_), str(image)): 0,
    }
    mounts = "".join(f"mount --bind '{f}' '{f}' && mount -o remount,ro,bind '{f}' || exit 9; " for f in (run_, cache))
    script = f"from capsmith.cli import main\nfor command in {[*commands]!r}: print(main(list(command)), flush=True)"
    call = f"exec {shlex.join([sys.executable, '-c', script])}"  # one process for all: it imports TensorFlow once
    done = subprocess.run(["unshare", "-rm", "sh", "-c", mounts + call], capture_output=True, text=True, timeout=300)
    if done.returncode == 9:
        pytest.skip("folders cannot be mounted read-only here")
    assert [int(line) for line in done.stdout.splitlines() if line.isdigit()] == [*commands.values()], done.stderr
    message = [line for line in done.stderr.splitlines() if line.startswith("capsmith: ")]
    assert len(message) == 3 and all("Read-only file system" in line for line in message)
    assert "Traceback" not in done.stderr
    after = mistakes.snapshot(shop.folder)
    assert {path: after[path] for path in before} == before and after.keys() - before.keys() == {Path(config)}


def test_errors_from_python(tiny_run):
    from capsmith import CapsmithError, Captioner, load_config, train
    from capsmith.core.errors import CheckpointError, ConfigError, ImageError

    captioner = Captioner.load(tiny_run.run)
    for nothing in (b"", "gone.jpg", Path("/")):
        with pytest.raises(ImageError):
            captioner.caption(nothing)
    for nothing in (None, 3, object()):
        with pytest.raises(TypeError, match="image"):
            captioner.caption(nothing)
    assert captioner.caption([]) == []
    with pytest.raises(ConfigError, match="did you mean 'units'"):
        load_config({"data": {"type": "scenes"}, "decoder": {"type": "merge", "untis": 5}})
    with pytest.raises(CheckpointError, match="no run directory"):
        Captioner.load("gone")
    with pytest.raises(CheckpointError, match="--resume"):
        train(load_config(tiny_run.run / "config.yaml"), tiny_run.run)
    assert all(issubclass(kind, CapsmithError) for kind in (CheckpointError, ConfigError, ImageError))
    assert dataclasses.is_dataclass(captioner.caption(tiny_run.data / "images" / "red_ball.png"))
