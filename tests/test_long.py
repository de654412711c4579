"""Short versions of the long tests in ``benchmarks/``: fuzzing of all readers, real kills, a service under load.

They take minutes and are marked slow: ``pytest -m slow tests/test_long.py``.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
SOURCE = BENCHMARKS.parent / "src"
READERS = ("config", "table", "karpathy", "scored", "vocabulary", "vectors", "image", "manifest", "features", "state")

needs_atheris = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="fuzzing needs atheris: pip install atheris"
)


def call(script, folder, *arguments, timeout):
    """Runs a script in a folder with the sources of this checkout."""
    path = os.pathsep.join([str(SOURCE), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, str(script), *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=timeout,
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
@needs_atheris
def test_fuzzed_readers_do_not_crash(tmp_path):
    done = call(BENCHMARKS / "fuzz.py", tmp_path, "--seconds", "4", "--write", "part.json", timeout=800)
    assert done.returncode == 0, done.stdout + done.stderr
    runs = dict(re.findall(r"^(\S+) +([\d,]+) executions  no crash$", done.stdout, re.MULTILINE))
    assert set(READERS) <= set(runs)
    assert all(int(count.replace(",", "")) >= 10 for count in runs.values()), runs
    part = json.loads((tmp_path / "part.json").read_text(encoding="utf-8"))
    assert part["robust.fuzz_crashes"]["value"] == 0
    assert part["robust.fuzz_executions"]["value"] == sum(int(count.replace(",", "")) for count in runs.values())


@pytest.mark.slow
@pytest.mark.timeout(300)
@needs_atheris
@pytest.mark.parametrize(
    ("fault", "name"), [("raise KeyError('x')", "KeyError"), ("raise CapsmithError('')", "message")]
)
def test_fuzzing_finds_a_crash(tmp_path, fault, name):
    """The control: a reader that fails on a certain third byte."""
    shutil.copy(BENCHMARKS / "fuzz.py", tmp_path)
    (tmp_path / "fuzz_readers.py").write_text(
        "from capsmith.core.errors import CapsmithError\n"
        "def read(path):\n"
        "    if path.read_bytes()[2:3] == b'!':\n"
        f"        {fault}\n"
        "READERS = {'broken': ('x', [b'abcd'], read)}\n",
        encoding="utf-8",
    )
    done = call(tmp_path / "fuzz.py", tmp_path, "--seconds", "30", timeout=200)
    assert done.returncode == 1, done.stdout + done.stderr
    assert name in done.stdout
    assert list((tmp_path / "fuzzed").iterdir())  # the crashing input


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_kill_is_survived(tmp_path):
    done = call(BENCHMARKS / "kills.py", tmp_path, "--kills", "4", "--seed", "7", "--write", "part.json", timeout=1100)
    assert done.returncode == 0, done.stdout + done.stderr
    part = json.loads((tmp_path / "part.json").read_text(encoding="utf-8"))
    assert part["robust.kills_tried"]["value"] == part["robust.kills_survived"]["value"] == 4
    for stage in ("extraction", "training", "self-critical", "evaluation"):
        assert f"{stage}: 1 of 1 kills survived" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_service_under_mixed_load_loses_nothing(tmp_path):
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 255, (3, 4, 3), np.uint8)
        Image.fromarray(pixels).resize((320, 240)).save(tmp_path / f"{number}.jpg")
    command = ["-m", "benchmarks.serving", "soak", "--photos", ".", "--minutes", "0.15", "--write", "part.json"]
    path = os.pathsep.join([str(SOURCE), str(BENCHMARKS.parent)])
    done = subprocess.run(
        [sys.executable, *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    part = json.loads((tmp_path / "part.json").read_text(encoding="utf-8"))
    assert part["serve.lost"]["value"] == part["serve.wrong"]["value"] == 0
    counts = dict(re.findall(r"(\w+) (\d+)", done.stdout))
    assert all(int(counts[kind]) > 0 for kind in ("form", "JSON", "bad", "left", "captions"))
