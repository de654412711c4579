"""Evaluations on the test split are logged by the program itself, as complete lines, by any number of processes."""

import hashlib
import json
import multiprocessing
import os
import shutil

import pytest

from capsmith.core.errors import CapsmithError
from capsmith.evaluation import readings
from capsmith.evaluation.kinds import evaluate
from capsmith.models.run import RunDirectory
from tests.support import shapes


@pytest.fixture
def run(tmp_path):
    return shutil.copytree(shapes.trained(), tmp_path / "run")


def test_the_test_evaluation_of_a_training_is_one_reading():
    (entry,) = readings.read(RunDirectory(shapes.trained()).test_readings)
    scores = json.loads((shapes.trained() / "report" / "scores.json").read_text())
    assert entry["scores"] == {name: score["value"] for name, score in scores["scores"].items()}
    assert entry["decoding"] == scores["decoding"]


def test_only_evaluations_on_test_are_recorded(run, log_lines):
    before = readings.read(RunDirectory(run).test_readings)
    evaluate(run, "dev")
    evaluate(run, "train", ["data.limit=4"])
    assert readings.read(RunDirectory(run).test_readings) == before
    found = evaluate(run, "test", ["decoding.type=greedy"])
    evaluate(run, "test", ["decoding.type=greedy"])
    after = readings.read(RunDirectory(run).test_readings)
    assert after[: len(before)] == before
    assert len(after) == len(before) + 2
    assert len({entry["id"] for entry in after}) == len(after)
    entry = after[len(before)]
    assert entry["decoding"]["type"] == "greedy"
    assert entry["scores"] == {name: score.value for name, score in found.scores.items()}
    assert entry["signatures"] == {name: score.signature for name, score in found.scores.items()}
    assert entry["images"] == len(found.captions)
    assert entry["date"].endswith("+00:00")
    assert any("read 2 times" in line for line in log_lines)


def test_a_reading_records_digests_of_its_files(run):
    evaluate(run, "test")
    (source,) = readings.read(RunDirectory(run).test_readings)[-1]["runs"]
    assert source["run"] == str(run)
    for key, name in (("config_sha256", "config.yaml"), ("weights_sha256", "model.weights.h5")):
        assert source[key] == hashlib.sha256((run / name).read_bytes()).hexdigest()
    captions = (run / "report" / "predictions.jsonl").read_bytes()
    assert (
        readings.read(RunDirectory(run).test_readings)[-1]["predictions_sha256"] == hashlib.sha256(captions).hexdigest()
    )


def test_an_ensemble_is_recorded_in_every_member(run, tmp_path):
    other = shutil.copytree(run, tmp_path / "other")
    evaluate([run, other], "test")
    first, second = (readings.read(RunDirectory(one).test_readings)[-1] for one in (run, other))
    assert first == second
    assert [source["run"] for source in first["runs"]] == [str(run), str(other)]
    assert not first["averaged"]
    evaluate([run, other], "test", average=True)
    assert readings.read(RunDirectory(other).test_readings)[-1]["averaged"]


def test_readings_of_unwritable_runs_are_recorded_with_the_report(run, tmp_path, log_lines):
    (RunDirectory(run).test_readings).unlink()
    (RunDirectory(run).test_readings).mkdir()  # permissions do not restrict root
    evaluate(run, "test", out=tmp_path / "out")
    assert len(readings.read(RunDirectory(tmp_path / "out").test_readings)) == 1
    assert any("test_readings.jsonl" in line and str(tmp_path / "out") in line for line in log_lines)


def test_a_reading_is_recorded_before_results_are_written(run, monkeypatch):
    def full(*_, **__):
        raise CapsmithError("the disk is full")

    monkeypatch.setattr("capsmith.evaluation.evaluate.write_results", full)
    before = len(readings.read(RunDirectory(run).test_readings))
    with pytest.raises(CapsmithError, match="full"):
        evaluate(run, "test")
    assert len(readings.read(RunDirectory(run).test_readings)) == before + 1


def _append_many(path, process):
    for number in range(50):
        readings.append(path, {"process": process, "number": number, "filling": "x" * 20000})


def test_concurrent_appends_are_complete(tmp_path):
    path = tmp_path / "log.jsonl"
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_append_many, args=(path, n)) for n in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    lines = path.read_bytes().splitlines()
    found = [json.loads(line) for line in lines]
    assert len(found) == 150
    for process in range(3):
        assert [entry["number"] for entry in found if entry["process"] == process] == list(range(50))


@pytest.mark.parametrize("cut", [0, 1, 10, 40])
def test_a_truncated_line_does_not_affect_others(tmp_path, cut):
    path = tmp_path / "log.jsonl"
    readings.append(path, {"n": 1, "text": "filling, so that there is something to cut"})
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:cut])
    readings.append(path, {"n": 2})
    assert [entry["n"] for entry in readings.read(path)] == [1, 2]


def test_a_full_disk_leaves_the_log_unchanged(tmp_path, monkeypatch):
    path = tmp_path / "log.jsonl"
    readings.append(path, {"n": 1})
    before = path.read_bytes()

    def fails(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(CapsmithError, match=r"log\.jsonl.*No space left"):
        readings.append(path, {"n": 2})
    assert path.read_bytes() == before


@pytest.mark.parametrize("junk", [b"", b"\n\n", b"{", b"[1]\n", b"\xff\xfe\n", b"[" * 100000 + b"\n"])
def test_invalid_lines_are_skipped(tmp_path, junk):
    path = tmp_path / "log.jsonl"
    path.write_bytes(junk)
    assert readings.read(path) == []
    readings.append(path, {"n": 1})
    assert readings.read(path) == [{"n": 1}]


def test_names_that_are_not_utf8_are_preserved(tmp_path):
    path = tmp_path / "log.jsonl"
    readings.append(path, {"run": os.fsdecode(b"runs/caf\xe9")})
    assert readings.read(path) == [{"run": os.fsdecode(b"runs/caf\xe9")}]


def test_a_missing_log_is_empty(tmp_path):
    assert readings.read(RunDirectory(tmp_path / "none").test_readings) == []
