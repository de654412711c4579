"""Recovers the test readings made before the program kept a log, from git's history of the kept captions.

    python -m tools.reconstruct_readings

Every distinct set of Flickr8k test captions that was ever committed is one reading. A reading whose folder no longer
holds it was replaced by its successor there. Readings that were never committed cannot be found here: ``NOTED`` lists
those that closing notes mention. The lines go to ``results/test_readings.jsonl``, before those that the program wrote;
their ``source`` marks them. A date is that of the commit, which came after the reading.
"""

import hashlib
import json
import re
import subprocess
from typing import Any

import yaml

from capsmith.core.files import write_text
from capsmith.evaluation import readings
from tools.paths import READINGS, RESULTS
from tools.rows import ROWS

GIT = "reconstructed from git history"
LAST = "ad3d2bd"
"""The last commit before the program kept a log; later readings are in the log."""
NOTED: list[dict[str, Any]] = [
    {
        "id": "note-scst-seed-2",
        "source": "reconstructed from the closing note of stop 12 and the README of commit 593561f; captions not kept",
        "date": "2026-11-23",
        "date_is": "of the note; it was read before the decoding's weights were chosen anew",
        "dataset": "flickr8k",
        "images": 1000,
        "kept_as": None,
        "seed": 2,
        "decoding": {"type": "consensus"},
        "scores": {"cider": 0.67},
        "replaced_by": "git-062e1b8657e0",
        "why": "dev chose other weights of the consensus, and 60 samples for 20; the same model was read again",
    }
]
MOVED = {"git-fe299abeb466": "git-38dba9de0a95"}
"""Readings whose folder was removed, and their successor: a reading of the same model."""
WHY_REPLACED = {
    "git-5cfad5098be5": "trained anew with recurrences that take the products of their inputs once a sentence",
    "git-7586acd13a4c": "trained anew with two views in the place of one",
    "git-fcaffa4a36db": "the model was trained anew with two views in the place of one",
    "git-4d8538aba61b": "its members were trained with keys that no longer existed; five others took their place",
    "git-69031c29b149": "trained anew with another seed, with dropout while captions are drawn and learned from",
    "git-57709f8616fc": "the model was trained anew with another seed and with dropout in self-critical training",
    "git-f452333ae74f": "two more members, and dev chose other weights of the consensus and 60 samples",
    "git-fe299abeb466": NOTED[0]["why"],
    "git-2d26b6f078e9": "four captioners trained anew with mended bias gradients, judged by decoding.content too",
}


def git(*arguments: str) -> str:
    """Returns the output of a git command."""
    command = ["git", "-C", str(RESULTS), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603


def show(commit: str, path: str) -> str | None:
    """Returns a file of a commit, None when the commit has no such file."""
    try:
        return git("show", f"{commit}:{path}")
    except subprocess.CalledProcessError:
        return None


def reading_id(captions: str) -> str:
    """Returns a reading's id: the start of the SHA-256 of its predictions file."""
    return "git-" + hashlib.sha256(captions.encode()).hexdigest()[:12]


def committed_readings() -> dict[str, dict[str, Any]]:
    """Returns every reading that was ever committed by id, in the order of the commits."""
    entries: dict[str, dict[str, Any]] = {}
    holds: dict[str, str] = {}  # the reading that each folder holds
    log = git("log", "--reverse", "--format=%H %cI", LAST, "--", ".").splitlines()
    for commit, date in (line.split(" ", 1) for line in log):
        changed = git("diff-tree", "-r", "--root", "--no-commit-id", "--no-renames", "--name-status", commit, "--", ".")
        before = dict(holds)
        for state, path in (line.split("\t") for line in changed.splitlines()):
            if not (folder := re.fullmatch(r"results/(flickr8k_\w+)/report/predictions\.jsonl", path)):
                continue
            captions = show(commit, path) if state != "D" else None
            if captions is None:
                holds.pop(folder[1], None)
                continue
            name = holds[folder[1]] = reading_id(captions)
            entry = entries.setdefault(name, {})
            entry.setdefault("kept", []).append([commit[:7], folder[1]])
            if len(entry) == 1:
                entries[name] |= describe(commit, date, folder[1], captions)
        for folder, name in before.items():
            if name not in holds.values() and "replaced_by" not in entries[name]:
                entries[name]["replaced_by"] = holds.get(folder)
                entries[name]["replaced_in"] = commit[:7]
    return entries


def describe(commit: str, date: str, folder: str, captions: str) -> dict[str, Any]:
    """Returns what a commit records about a reading."""
    base = f"results/{folder}"
    report = json.loads(show(commit, f"{base}/report/scores.json") or "{}")
    config = yaml.safe_load(show(commit, f"{base}/config.yaml") or "{}")
    versions = json.loads(show(commit, f"{base}/versions.json") or "{}")
    log = show(commit, f"{base}/log.txt") or ""
    summary = json.loads(show(commit, "results/summary.json") or "{}")
    row = re.sub(r"_\d$", "", folder).removeprefix("flickr8k_")
    figure = summary.get(f"flickr8k.{row}.cider", {})
    scores = {name: score["value"] for name, score in report["scores"].items()}
    entry = {
        "source": GIT,
        "date": date,
        "date_is": "of the commit that kept it",
        "dataset": "flickr8k",
        "images": report.get("images", report.get("pictures")),  # the key has been renamed
        "kept_as": f"flickr8k.{row}",
        "seed": config.get("seed"),
        "precision": versions.get("precision"),
        "decoding": report["decoding"],
        "scores": scores,
        "signatures": {name: score["signature"] for name, score in report["scores"].items()},
        "command": figure.get("command"),
        "note": figure.get("note"),
        "config_sha256": hashlib.sha256((show(commit, f"{base}/config.yaml") or "").encode()).hexdigest(),
        "predictions_sha256": hashlib.sha256(captions.encode()).hexdigest(),
    }
    if "meteor" in scores and re.search(rf"^test: .*\n(.*\n)*? +cider +{scores['cider']:.4f}", log, re.MULTILINE):
        if not re.search(r"^ +meteor ", log.partition("\ntest: ")[2], re.MULTILINE):
            entry["read_again"] = "once more for METEOR: the training had read the same captions without it (log.txt)"
    return entry


def main() -> None:
    """Writes the recovered readings before the logged ones."""
    entries = committed_readings()
    for name, entry in entries.items():
        entry["replaced_by"] = MOVED.get(name, entry.get("replaced_by"))
    entries |= {entry["id"]: entry for entry in NOTED}
    shown = {
        reading_id((RESULTS / folder / "report" / "predictions.jsonl").read_text(encoding="utf-8")): (row, folder)
        for row, one in ROWS.items()
        for folder in one.folders
    }
    lines = []
    for name, entry in entries.items():
        last = name
        while (after := entries.get(last, {}).get("replaced_by")) is not None:
            last = after
        if name in shown:
            entry.pop("replaced_in", None)
            entry["replaced_by"] = None
        row, folder = shown[last]
        if entry["replaced_by"] and name in WHY_REPLACED:
            entry["why"] = WHY_REPLACED[name]
        lines.append({"id": name, "row": row, "shown_in": folder if name in shown else None} | entry)
    logged = [entry for entry in readings.read(READINGS) if "source" not in entry]
    write_text(READINGS, "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in [*lines, *logged]))
    print(f"{len(lines)} readings before the log, {len(logged)} in the log")


if __name__ == "__main__":
    main()
