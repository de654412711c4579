"""The log of test readings: every evaluation of the test split leaves a line in the run, and is never taken back.

A test set that is read often, and only the best reading told, is a second dev set. So the program keeps count itself:
one JSON object a line in ``test_readings.jsonl``, in the directory of each run that was evaluated.
"""

import contextlib
import datetime
import hashlib
import importlib.metadata
import json
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from capsmith.core.errors import CapsmithError
from capsmith.core.readers.json_files import parse_json
from capsmith.core.readers.regular_files import open_regular, read_bytes
from capsmith.metrics import Score

try:
    import fcntl
except ImportError:  # Windows: a line is one write to the end of the file, and no more is promised
    fcntl = None  # type: ignore[assignment]

FILE = "test_readings.jsonl"


def sources(runs: Sequence[Path]) -> list[dict[str, str]]:
    """Says which runs are evaluated, such that their files can be checked later.

    Args:
        runs: Run directories.

    Returns:
        For each its path, and the SHA-256 of its ``config.yaml`` and ``model.weights.h5`` where they are there.
    """
    found = []
    for run in runs:
        entry = {"run": str(run)}
        for key, name in (("config_sha256", "config.yaml"), ("weights_sha256", "model.weights.h5")):
            with contextlib.suppress(OSError), open_regular(run / name) as file:
                entry[key] = hashlib.file_digest(file, "sha256").hexdigest()
        found.append(entry)
    return found


def reading(
    scores: Mapping[str, Score],
    *,
    runs: Sequence[Mapping[str, str]],
    averaged: bool,
    decoding: Mapping[str, Any],
    dataset: str,
    images: int,
    predictions: str,
    report: Path,
) -> dict[str, Any]:
    """Returns one line of the log.

    Args:
        scores: What was read.
        runs: From ``sources``; several are an ensemble, or one model of averaged weights.
        averaged: Whether the weights of several runs were averaged.
        decoding: The settings of the search.
        dataset: The dataset's type.
        images: How many images were captioned.
        predictions: What ``predictions.jsonl`` will hold: its SHA-256 tells later which captions were read.
        report: Where the captions and scores are written.
    """
    return {
        "id": uuid.uuid4().hex,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "dataset": dataset,
        "images": images,
        "runs": list(runs),
        "averaged": averaged,
        "decoding": dict(decoding),
        "scores": {name: score.value for name, score in scores.items()},
        "signatures": {name: score.signature for name, score in scores.items()},
        "predictions_sha256": hashlib.sha256(predictions.encode("utf-8", "backslashreplace")).hexdigest(),
        "report": str(report),
        "capsmith": importlib.metadata.version("capsmith"),
    }


def keep(entry: Mapping[str, Any], runs: Sequence[Path], report: Path) -> list[str]:
    """Appends a reading to the log of every run that took part.

    A run that cannot be written, such as one on a read-only medium, is evaluated all the same: the line then goes
    into the report's folder.

    Args:
        entry: From ``reading``.
        runs: The run directories; without any, the report's folder takes the line.
        report: The report's folder.

    Returns:
        Lines for people: which run was read before, and how often; which could not be written.

    Raises:
        CapsmithError: The line can be written to neither place.
    """
    told = []
    places = list(dict.fromkeys(runs)) or [report]
    for place in places:
        try:
            count = append(place / FILE, entry)
        except CapsmithError as error:
            if place == report:
                raise
            append(report / FILE, entry)
            told.append(f"test: this reading is noted in {report / FILE}, since the run cannot be written ({error})")
            continue
        if count > 1:
            told.append(f"test: read {count} times with this run, see {place / FILE}")
    return told


def append(path: Path, entry: Mapping[str, Any]) -> int:
    """Appends one line, whole or not at all, while other processes may append too.

    Args:
        path: The log; made when missing.
        entry: What becomes a line of JSON.

    Returns:
        How many lines the log holds now.

    Raises:
        CapsmithError: It cannot be written; its lines are as they were.
    """
    line = json.dumps(entry, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
    if path.exists() and not path.is_file():
        raise CapsmithError(f"cannot write {path}: it is not a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b", buffering=0) as file, _exclusive(file.fileno()):
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            before = file.read()
            if before and not before.endswith(b"\n"):  # a process died within its line
                line = b"\n" + line
            try:
                rest = memoryview(line)
                while rest:
                    rest = rest[file.write(rest) :]
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)
                raise
    except OSError as error:
        raise CapsmithError(f"cannot write {path}: {error.strerror or error}") from error
    return sum(bool(one.strip()) for one in (before + line).split(b"\n"))


def read(path: Path) -> list[dict[str, Any]]:
    """Reads a log; lines that a process did not finish are passed over.

    Args:
        path: A log; one that is missing has no lines.

    Raises:
        CapsmithError: It cannot be read.
    """
    try:
        lines = read_bytes(path).split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CapsmithError(f"cannot read {path}: {error.strerror or error}") from error
    found = []
    for line in lines:
        with contextlib.suppress(ValueError):
            if isinstance(entry := parse_json(line, strict=False), dict):
                found.append(entry)
    return found


@contextlib.contextmanager
def _exclusive(descriptor: int) -> Iterator[None]:
    """Waits until no other process appends; closing the file lets go."""
    if fcntl is not None:
        with contextlib.suppress(OSError):  # a file system without locks: a line is still one write
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield
