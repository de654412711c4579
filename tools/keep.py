"""Copies what a figure rests on into ``results/`` and enters its scores into ``summary.json``.

    python -m tools.keep xe runs/flickr8k_attention runs/seed2 runs/seed3 --note "beam 5" --command "capsmith train …"

Several runs are seeds of one recipe: their mean is entered, with the standard deviation in the note. ``tools/rows.py``
defines each row; runs of another recipe, or decoded in another way, are refused. ``--report`` names another report
folder of the first run, such as ``report/ensemble``. The records of ensemble members (``--members``), dev reports and
the runs' logs of test readings are kept too. ``--replace-path /local/dir=../shared`` rewrites paths of this machine. A
seed that was kept before is given by its folder in ``results/`` and stays as it is.
"""

import argparse
import json
import shutil
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from capsmith.evaluation import readings
from capsmith.models.run import RunDirectory
from tools import paths
from tools.measures import (
    caption_diversity,
    deployed_size,
    flatten,
    minutes,
    parameters,
    read_yaml,
    recipe_differences,
)
from tools.rows import ROWS, Row, folder_of

RECORD = ("config.yaml", "history.csv", "history.png", "log.txt", "versions.json")
REPORT = ("predictions.jsonl", "scores.json")
METRICS = ("bleu1", "bleu2", "bleu3", "bleu4", "meteor", "rouge", "cider")
CONTROLS = ("bleu4", "cider")
NOTES = {
    "broken": "share of captions that break off; people's: human.broken",
    "repeats": "share of captions that say a run of words twice in a row; people's: human.repeats",
    "shuffled": "the same captions on shuffled images",
    "training_minutes": "epochs and dev decodings of every training that the row needs (history.csv), on two cores "
    "shared with other work; without encoder adaptation, feature extraction and test",
    "all_parameters": "parameters of decoders and encoders; an encoder shared by several captioners counts once",
    "all_mb": "weights of decoders and encoders, and for MBR reranking the caption index (caption_index.npz)",
}


def copy_run(
    run: Path, report: Path, folder: Path, replacements: Mapping[str, str], members: Sequence[Path] = ()
) -> dict[str, Any]:
    """Copies the records of a run and its members, its dev report and its report; returns the scores."""
    if run.resolve() != folder.resolve():
        shutil.rmtree(folder, ignore_errors=True)
        files = [(run / name, folder / name) for name in RECORD]
        for source, part in ((report, ""), (report / "dev", "dev")):
            files += [(source / name, folder / "report" / part / name) for name in REPORT]
        files += [(member / name, folder / "members" / member.name / name) for member in members for name in RECORD]
        for source, target in files:
            if source.exists():
                copy(source, target, replacements)
    scores: dict[str, Any] = json.loads((folder / "report" / "scores.json").read_text(encoding="utf-8"))
    record_as_evaluated(folder, scores)
    return scores


def copy(source: Path, target: Path, replacements: Mapping[str, str]) -> None:
    """Copies a file. In text files, paths of this machine become those of the command."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
    if target.suffix in (".yaml", ".txt", ".json", ".jsonl"):
        target.write_text(replace_all(target.read_text(encoding="utf-8"), replacements), encoding="utf-8")


def replace_all(text: str, replacements: Mapping[str, str]) -> str:
    """Returns the text with every replacement made."""
    for old, new in replacements.items():
        text = text.replace(old, new)
    return text


def record_as_evaluated(folder: Path, scores: Mapping[str, Any]) -> None:
    """Writes the decoding behind the scores, and the training's actual precision, into the kept config.

    A run's own config holds the decoding it was trained with, which ``evaluate --set`` may have changed, and
    ``precision: auto``, which depends on the machine.
    """
    path = folder / "config.yaml"
    text = path.read_text(encoding="utf-8")
    header = "".join(line + "\n" for line in text.splitlines() if line.startswith("#"))
    config = read_yaml(path)
    versions = json.loads((folder / "versions.json").read_text(encoding="utf-8"))
    changes = []
    if config["decoding"] != scores["decoding"]:
        config["decoding"] = scores["decoding"]
        changes.append("decoding: that of report/scores.json, as evaluated")
    if config["training"].get("precision") == "auto" and "precision" in versions:
        config["training"]["precision"] = versions["precision"]
        changes.append(f"training.precision: auto, which was {versions['precision']} (versions.json)")
    if changes:
        header += "".join(f"# {change}\n" for change in changes)
        path.write_text(header + yaml.safe_dump(config, sort_keys=False, allow_unicode=True), encoding="utf-8")


def require_row(name: str, row: Row, folders: Sequence[Path], scores: Sequence[Mapping[str, Any]]) -> None:
    """Stops when the kept runs are not what the row's name means."""
    for folder, report in zip(folders, scores, strict=True):
        decoding = flatten(report["decoding"])
        other = {key: decoding.get(key) for key, value in row.search.items() if decoding.get(key) != value}
        if other:
            sys.exit(f"{folder}: {name} means {row.search}, but this was decoded with {other}: give it another row")
        if changed := recipe_differences(folders[0], folder):
            sys.exit(f"{folder}: another recipe than {folders[0]} ({', '.join(changed)}): give it another row")


def gather_readings(name: str, runs: Sequence[Path], replacements: Mapping[str, str]) -> None:
    """Adds the runs' test readings to ``results/test_readings.jsonl``. Nothing is removed."""
    known = {entry["id"] for entry in readings.read(paths.READINGS)}
    for entry in (entry for run in runs for entry in readings.read(RunDirectory(run).test_readings)):
        if entry["id"] not in known:
            known.add(entry["id"])
            text = replace_all(json.dumps({"row": name, **entry}, ensure_ascii=False), replacements)
            readings.append(paths.READINGS, json.loads(text))


@dataclass
class RowFigures:
    """Enters the figures of one row into the summary."""

    summary: paths.Summary
    row: str
    command: str
    note: str

    def enter(self, figure: str, values: Sequence[float], unit: str = "", note: str | None = None, **more: Any) -> None:
        """Enters the mean of one value a seed."""
        spread = f"; {len(values)} seeds, ± {statistics.stdev(values):.4f}" if len(values) > 1 and more else ""
        self.summary[f"flickr8k.{self.row}.{figure}"] = {
            "value": statistics.mean(values),
            "unit": unit,
            "command": self.command,
            "seeds": len(values),
            "note": (self.note if note is None else note) + spread,
            **more,
        }

    def enter_scores(self, scores: Sequence[Mapping[str, Any]], folders: Sequence[str]) -> None:
        """Enters the scores, and those on shuffled images, with the files that they come from."""
        files = [f"results/{folder}/report/scores.json" for folder in folders]
        for metric in METRICS:
            if all(metric in report["scores"] for report in scores):
                values = [report["scores"][metric]["value"] for report in scores]
                self.enter(metric, values, scores=[[file, "scores", metric, "value"] for file in files])
        for metric in CONTROLS:
            values = [report["shuffled_images"][metric] for report in scores]
            sources = [[file, "shuffled_images", metric] for file in files]
            self.enter(f"shuffled_{metric}", values, note=NOTES["shuffled"], scores=sources)
        measured = [caption_diversity(paths.RESULTS / folder) for folder in folders]
        for fault in ("broken", "repeats"):
            self.enter(fault, [getattr(one, fault) for one in measured], note=NOTES[fault])

    def enter_cost(self, row: Row, runs: Sequence[Path], members: Sequence[Path], mb_before: float | None) -> None:
        """Enters minutes, parameters and megabytes. Megabytes are those of before when the weights are not here."""
        each = [minutes(run) + sum(map(minutes, members)) for run in runs]
        self.enter("training_minutes", each, "min", NOTES["training_minutes"])
        captioners = [runs[0], *(members if row.members > 1 else [])]
        trained = sum(map(parameters, captioners))
        self.enter("parameters", [trained], note="trained parameters")
        weights = [run / "model.weights.h5" for run in captioners]
        here = all(path.exists() for path in weights)
        mb = round(sum(path.stat().st_size for path in weights) / 1e6, 1) if here else mb_before
        if mb is not None:
            self.enter("checkpoint_mb", [mb], "MB", "model.weights.h5")
            numbers, size = deployed_size(row, trained, mb)
            self.enter("all_parameters", [numbers], note=NOTES["all_parameters"])
            self.enter("all_mb", [size], "MB", NOTES["all_mb"])


def main() -> None:
    """Keeps one row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "row", choices=ROWS, metavar="ROW", help="a row of tools/rows.py; its figures are flickr8k.ROW.…"
    )
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--report", default="report")
    parser.add_argument("--command", required=True, help="the command that gives the figures")
    parser.add_argument("--note", required=True, help="what was measured")
    parser.add_argument("--members", type=Path, nargs="*", default=[], help="other ensemble members, or earlier stages")
    parser.add_argument("--replace-path", action="append", default=[], metavar="HERE=WRITTEN")
    args = parser.parse_args()
    replacements = dict(one.split("=", 1) for one in args.replace_path)
    folders = [folder_of(args.row, read_yaml(run / "config.yaml")["seed"]) for run in args.runs]
    targets = [paths.RESULTS / folder for folder in folders]
    scores = [
        copy_run(run, run / args.report, target, replacements, args.members if run == args.runs[0] else ())
        for run, target in zip(args.runs, targets, strict=True)
    ]
    require_row(args.row, ROWS[args.row], targets, scores)
    gather_readings(args.row, [*args.runs, *args.members], replacements)
    summary = paths.read_summary()
    prefix = f"flickr8k.{args.row}."
    mb_before = summary.get(f"{prefix}checkpoint_mb", {}).get("value")
    for name in [name for name in summary if name.startswith(prefix)]:
        del summary[name]
    figures = RowFigures(summary, args.row, args.command, args.note)
    figures.enter_scores(scores, folders)
    figures.enter_cost(ROWS[args.row], args.runs, args.members, mb_before)
    paths.write_summary(summary)
    print("next: python -m tools.caption_statistics, python -m tools.four_references, make tables")


if __name__ == "__main__":
    main()
