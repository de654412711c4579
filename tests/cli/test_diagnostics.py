"""The checks of ``capsmith doctor``, on machines that lack something."""

import importlib.util
import os
import shutil
import subprocess
import sys

import pytest

from capsmith.cli import diagnostics as doctor
from capsmith.cli import main
from capsmith.training.smoke_run import SmokeResult


def cgroup(monkeypatch, tmp_path, **files):
    for name, text in files.items():
        (tmp_path / name.replace("_", ".")).write_text(text)
    monkeypatch.setattr(doctor, "_CGROUP", tmp_path)


def test_a_container_has_fewer_cores_than_the_machine(monkeypatch, tmp_path):
    there = len(os.sched_getaffinity(0))
    cgroup(monkeypatch, tmp_path, cpu_max="50000 100000\n")
    assert doctor.usable_cores() == 0.5
    cgroup(monkeypatch, tmp_path, cpu_max="max 100000\n")
    assert doctor.usable_cores() == there
    cgroup(monkeypatch, tmp_path, cpu_max="nonsense")
    assert doctor.usable_cores() == there


def test_memory_is_the_less_of_the_machine_and_the_container(monkeypatch, tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    4194304 kB\n")
    monkeypatch.setattr(doctor, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(doctor, "_CGROUP", tmp_path / "none")
    assert doctor.usable_memory() == 4 * doctor.GIB and not doctor._memory().advice
    cgroup(monkeypatch, tmp_path, memory_max=str(3 * doctor.GIB), memory_current=str(2 * doctor.GIB))
    assert doctor.usable_memory() == doctor.GIB
    assert "pooled" in doctor._memory().advice
    (tmp_path / "meminfo").unlink()
    cgroup(monkeypatch, tmp_path, memory_max="max")
    assert doctor.usable_memory() is None and not doctor._memory().advice


def test_an_unwritable_folder_is_reported(tmp_path):
    assert not doctor._disk(tmp_path).broken
    assert doctor._disk(tmp_path / "nowhere").broken


def test_an_unknown_backend_lists_the_supported_ones(monkeypatch, capsys):
    monkeypatch.setenv("KERAS_BACKEND", "theano")
    assert main(["doctor"]) == 2
    out = capsys.readouterr().out
    assert "tensorflow, jax, torch" in out.splitlines()[-1]  # and nothing after it
    assert "pip install theano" not in out and "new environment" not in out


@pytest.mark.parametrize("level", ["3", "0"])
def test_keras_is_loaded_quietly_on_the_command_line(level):
    """TensorFlow's log lines would interrupt the findings; with level 0 it would also log cuInit errors."""
    command = [sys.executable, "-m", "capsmith", "doctor", "--fast"]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": level}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert " Keras " in done.stdout and not done.stderr


def test_a_backend_that_is_not_installed_is_reported(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found = doctor._unusable_backend()
    assert found.broken and "pip install jax" in found.advice
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert doctor._unusable_backend() is None


@pytest.mark.parametrize(
    ("name", "threads", "advised"),
    [
        ("OMP_NUM_THREADS", "1", True),
        ("OMP_NUM_THREADS", "3", True),
        ("TF_NUM_INTRAOP_THREADS", "2", True),
        ("OMP_NUM_THREADS", "4", False),
        ("OMP_NUM_THREADS", "all", False),
        ("TF_NUM_INTRAOP_THREADS", "0", False),
    ],
)
def test_fewer_threads_than_cores_are_reported(monkeypatch, name, threads, advised):
    for other in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setattr(doctor, "usable_cores", lambda: 4.0)
    monkeypatch.setattr(doctor, "_detected_cores", lambda: 4)
    assert doctor._threads().result.startswith("4 for TensorFlow, 4 for OpenMP") and not doctor._threads().advice
    monkeypatch.setenv(name, threads)
    check = doctor._threads()
    assert f"{threads if advised else 4} for" in check.result and f"by {name}={threads}" in check.result
    assert bool(check.advice) == advised and (not advised or name in check.advice)


def test_more_threads_than_a_containers_cores_are_reported(monkeypatch):
    monkeypatch.setattr(doctor, "_detected_cores", lambda: 64)
    monkeypatch.setattr(doctor, "usable_cores", lambda: 2.0)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "2")
    check = doctor._threads()
    assert "2 for TensorFlow" in check.result and "64 for OpenMP" in check.result
    assert "OMP_NUM_THREADS=2" in check.advice


@pytest.mark.parametrize(("allowed", "advised"), [(8.0, False), (2.0, True), (0.5, True)])
def test_existing_and_available_cores_are_counted(monkeypatch, allowed, advised):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(doctor, "usable_cores", lambda: allowed)
    check = doctor._cores()
    assert check.result.startswith("8 cores") and bool(check.advice) is advised and not check.broken
    assert not advised or f"of which {allowed:g}" in check.result


def test_missing_extras_are_not_a_failure(monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda name: "")
    found = [*doctor._extras()]
    assert not any(check.broken or check.advice for check in found)
    text = " ".join(check.result for check in found)
    assert "pip install 'capsmith[text]'" in text and "pip install 'capsmith[coco]'" in text


def test_the_accelerator_is_the_one_that_keras_uses(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr("capsmith.core.precision.accelerators", lambda: ["gpu:0", "gpu:1"])
    assert doctor._accelerator().result == "gpu:0, gpu:1"
    monkeypatch.setattr("capsmith.core.precision.accelerators", list)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "none" in doctor._accelerator().result and not doctor._accelerator().advice
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert "pip install -U 'jax[cuda12]'" in doctor._accelerator().advice


def test_the_smoke_test_trains_saves_loads_and_captions(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "smoke test" in out and "!!" not in out and "“a red ball”" in out
    assert "accelerator" in out and not list(tmp_path.iterdir())


def test_a_failed_smoke_test_is_reported(capsys, monkeypatch):
    def fails():
        raise ValueError("the disk ate it\nand more")

    monkeypatch.setattr("capsmith.training.smoke_run.smoke_train", fails)
    assert main(["doctor"]) == 2
    out = capsys.readouterr().out
    assert "!!  smoke test   failed: ValueError: the disk ate it" in out and "and more" not in out
    assert main(["doctor", "--fast"]) == 0


@pytest.mark.parametrize(
    ("right", "rounds", "broken", "advice"),
    [
        (18, 1, False, ""),
        (17, 1, False, "too slow"),
        (17, 3, False, "too slow"),
        (17, 4, True, "it does not learn"),
        (24, 3, False, ""),
    ],
)
def test_a_smoke_test_is_judged_by_its_captions(monkeypatch, right, rounds, broken, advice):
    """A machine with too little time to train is slow; one with enough time and wrong captions is broken."""
    monkeypatch.setattr(
        "capsmith.training.smoke_run.smoke_train", lambda: SmokeResult("a a a", right, 24, rounds, 1234.5, 67.8)
    )
    check = doctor._smoke_test()
    assert check.broken is broken and (advice in check.advice if advice else not check.advice)
    assert f"{right} of 24 held-out images" in check.result and "“a a a”" in check.result
    assert "1,234 captions/s in training, 68 images/s" in check.result
