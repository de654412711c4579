"""Hostile and broken detectors: a sample of those that ``python -m benchmarks.bad_detectors`` tries."""

import os
import signal

import numpy as np
import pytest

from benchmarks.bad_detectors import tried
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
def test_a_bad_detector_does_no_harm(name):
    outcome = tried(BAD[name], 30, patience=1)
    assert outcome.kind != "harmed", outcome.text


def test_there_are_enough_and_their_names_differ():
    assert len(BAD) == len(bad_detectors()) >= 100


def test_a_good_detector_is_read(tmp_path):
    outcome = detect_within(saved(plain(), tmp_path / "model.onnx"), np.zeros((80, 120, 3), np.uint8))
    assert (outcome.kind, outcome.text) == ("read", "1 objects")


def crash(path):
    raise RuntimeError("a traceback")


def hang(path):
    while True:
        pass


def die(path):
    os.kill(os.getpid(), signal.SIGSEGV)


@pytest.mark.parametrize(
    ("harm", "text"), [("crash", "a traceback"), ("hang", "no end within 5 s"), ("die", "the process died (-11)")]
)
def test_harm_is_noticed(harm, text, tmp_path):
    load = f"tests.vision.detection.test_bad_detectors:{harm}"
    outcome = detect_within(tmp_path / "model.onnx", np.zeros((8, 8, 3), np.uint8), 5, load=load)
    assert outcome.kind == "harmed" and text in outcome.text
