"""Hostile and broken detectors: a sample of those that ``python -m benchmarks.bad_detectors`` tries."""

import pytest

import capsmith.vision.detection.onnx_detector as onnx_detector
from benchmarks.bad_detectors import tried
from capsmith.vision.detection.load import load_detector
from tests.support.bad_detector_values import bad_detectors
from tests.support.bad_detectors import plain
from tests.support.bad_runs import detect_within
from tests.support.onnx_files import saved

BAD = {bad.name: bad for bad in bad_detectors()}
SAMPLE = (
    "half a file",
    "a pipe",
    "a device",
    "weights in a file above it",
    "external weights in a branch",
    "a thousand branches within each other",
    "operators that run Python",
    "a loop without end",
    "an output of 2^62 numbers",
    "an output named twice",
    "strings as input",
    "an input of 2^31 pixels a side",
    "an output that is a sequence",
    "NaN boxes of good confidence",
    "100,000 boxes above the threshold",
    "names that call code within a dict",
    "names in 100,000 brackets",
    "names of 30 MB",
    "classes far beyond the names",
    "queries of infinity",
)


@pytest.mark.parametrize("name", SAMPLE)
def test_a_bad_detector_does_no_harm(name, monkeypatch):
    monkeypatch.setattr(onnx_detector, "PATIENCE", 1.0)
    outcome = tried(BAD[name], 30)
    assert outcome.kind != "harmed", outcome.text


def test_there_are_enough_and_their_names_differ():
    assert len(BAD) == len(bad_detectors()) >= 100


def test_a_good_detector_is_read(tmp_path):
    import numpy as np

    outcome = detect_within(
        saved(plain(), tmp_path / "model.onnx"), np.zeros((80, 120, 3), np.uint8), load_detector, 30
    )
    assert (outcome.kind, outcome.text) == ("read", "1 objects")


def test_harm_is_noticed(tmp_path):
    def crash(path):
        raise RuntimeError("a traceback")

    def hang(path):
        while True:
            pass

    path = tmp_path / "model.onnx"
    assert detect_within(path, None, crash, 30).kind == "harmed"
    assert detect_within(path, None, hang, 0.3).kind == "harmed"
