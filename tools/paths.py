"""Where the tools read and write: the results folder, its summary and its log of test readings."""

import json
from pathlib import Path
from typing import Any

from capsmith.core.files import write_json

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results"
FLICKR8K = RESULTS / "flickr8k"
SUMMARY = RESULTS / "summary.json"
READINGS = RESULTS / "test_readings.jsonl"
SHARED = ROOT.parent / "shared"
REFERENCES = SHARED / "golden" / "flickr8k_refs" / "test_refs_raw.json"

Summary = dict[str, dict[str, Any]]


def read_summary() -> Summary:
    """Reads every figure that the project states, by name."""
    summary: Summary = json.loads(SUMMARY.read_text(encoding="utf-8"))
    return summary


def write_summary(summary: Summary) -> None:
    """Writes the figures back."""
    write_json(SUMMARY, summary)


def read_log() -> list[dict[str, Any]]:
    """Reads the log of test readings."""
    return [json.loads(line) for line in READINGS.read_text(encoding="utf-8").splitlines()]
