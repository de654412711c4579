"""The log of test readings: every evaluation of the test split adds a permanent line to the run.

A test set that is read often, with only the best reading reported, becomes a second dev set. capsmith therefore counts
the readings: one JSON object per line in ``test_readings.jsonl`` of each evaluated run.
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
from capsmith.models.export_folder import MANIFEST, ExportFolder
from capsmith.models.run import RunDirectory

try:
    import fcntl
except ImportError:  # Windows: a line is one write at the end of the file, without a lock
    fcntl = None  # type: ignore[assignment]


def sources(runs: Sequence[Path]) -> list[dict[str, str]]:
    """Describes runs so that their files can be verified later.

    Args:
        runs: Run directories.

    Returns:
        For each run its path, and the SHA-256 of its config and weights, or of an export's manifest, and of its copy of
        a joint embedding for reranking, if these files exist.
    """
    described = []
    for path in runs:
        run = RunDirectory(Path(path))
        entry = {"run": str(run)}
        names = (
            ("config_sha256", run.config),
            ("weights_sha256", run.weights),
            ("embedding_sha256", run.embedding),
            ("export_sha256", path / MANIFEST),
            ("judge_sha256", run.caption_judge),
        )
        for key, name in names:
            with contextlib.suppress(OSError), open_regular(name) as file:
                entry[key] = hashlib.file_digest(file, "sha256").hexdigest()
        described.append(entry)
    return described


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
        scores: The scores.
        runs: From ``sources``; several are an ensemble, or one model of averaged weights.
        averaged: Whether the weights of several runs were averaged.
        decoding: The settings of the search.
        dataset: The type of the dataset.
        images: Number of images.
        predictions: Content of ``predictions.jsonl``, whose SHA-256 identifies the captions.
        report: Folder of the report.
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


def record(entry: Mapping[str, Any], runs: Sequence[Path], report: Path) -> list[str]:
    """Appends a reading to the log of every evaluated run.

    A run that cannot be written, such as one on a read-only medium, can still be evaluated: its line goes into the
    folder of the report.

    Args:
        entry: From ``reading``.
        runs: The run directories; without any, the line goes into the folder of the report.
        report: Folder of the report.

    Returns:
        Notes for the log: which runs had been read before, and how often; which could not be written.

    Raises:
        CapsmithError: The line cannot be written anywhere.
    """
    notes = []
    runs = [run for run in runs if not ExportFolder(Path(run)).is_export]  # whose files stay as they are
    folders = list(dict.fromkeys(Path(run) for run in runs)) or [report]
    for folder in folders:
        log = RunDirectory(folder).test_readings
        try:
            count = append(log, entry)
        except CapsmithError as error:
            if folder == report:
                raise
            fallback = RunDirectory(report).test_readings
            append(fallback, entry)
            notes.append(f"test: this reading is recorded in {fallback}, since the run cannot be written ({error})")
            continue
        if count > 1:
            notes.append(f"test: read {count} times with this run, see {log}")
    return notes


def append(path: Path, entry: Mapping[str, Any]) -> int:
    """Appends one line, completely or not at all. Several processes may append at the same time.

    Args:
        path: The log; created if missing.
        entry: The JSON object.

    Returns:
        Number of lines in the log.

    Raises:
        CapsmithError: The line cannot be written; the log is unchanged.
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
            if before and not before.endswith(b"\n"):  # a process was killed while it wrote
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
    return sum(bool(text.strip()) for text in (before + line).split(b"\n"))


def read(path: Path) -> list[dict[str, Any]]:
    """Reads a log. Incomplete lines are skipped.

    Args:
        path: The log; a missing one has no lines.

    Raises:
        CapsmithError: The log cannot be read.
    """
    try:
        lines = read_bytes(path).split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CapsmithError(f"cannot read {path}: {error.strerror or error}") from error
    entries = []
    for line in lines:
        with contextlib.suppress(ValueError):
            if isinstance(entry := parse_json(line, strict=False), dict):
                entries.append(entry)
    return entries


@contextlib.contextmanager
def _exclusive(descriptor: int) -> Iterator[None]:
    """Waits until no other process appends; closing the file releases the lock."""
    if fcntl is not None:
        with contextlib.suppress(OSError):  # a file system without locks: the line is still one write
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield
