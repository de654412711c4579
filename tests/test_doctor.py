"""What `capsmith doctor` says of machines that lack something."""

import os

import pytest

from capsmith import doctor
from capsmith.cli import main


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


def test_a_folder_that_cannot_be_written(tmp_path):
    assert not doctor._disk(tmp_path).broken
    assert doctor._disk(tmp_path / "nowhere").broken


def test_a_backend_that_is_not_installed(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "theano")
    found = [finding for finding in doctor._versions() if finding.what == "backend"]
    assert found[0].broken and "pip install theano" in found[0].advice


@pytest.mark.parametrize(("threads", "advised"), [("1", True), ("4", False)])
def test_one_thread_is_too_few(monkeypatch, threads, advised):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    monkeypatch.setattr(doctor, "usable_cores", lambda: 4.0)
    finding = doctor._cores()
    assert f"OMP_NUM_THREADS={threads}" in finding.found and bool(finding.advice) is advised


def test_the_trial_trains_saves_loads_and_captions(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "trained, saved, loaded and captioned" in out and "!!" not in out
    assert not list(tmp_path.iterdir())


def test_a_trial_that_fails_is_told(capsys, monkeypatch):
    def fails():
        raise ValueError("the disk ate it\nand more")

    monkeypatch.setattr("capsmith.trial.try_out", fails)
    assert main(["doctor"]) == 2
    out = capsys.readouterr().out
    assert "!!  trial        failed: ValueError: the disk ate it" in out and "and more" not in out
    assert main(["doctor", "--fast"]) == 0
