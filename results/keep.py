"""Keeps what a figure rests on: copies runs into ``results/`` and enters their scores into ``summary.json``.

    python results/keep.py xe runs/flickr8k_attention runs/seed2 runs/seed3 --note "beam 5" --command "capsmith train …"

Of several runs (seeds of one config) the mean is entered, with the spread in the note. ``--report`` names another
folder of the first run whose report counts, such as ``report/ensemble``. Paths of this machine are replaced by those
of the command: ``--say /where/it/was=../shared``. A seed that was kept before is given by its folder in ``results/``,
in the place where it stands, and stays as it is.
"""

import argparse
import json
import re
import shutil
import statistics
from pathlib import Path
from typing import Any

from capsmith.metrics.diversity import Diversity, diversity

ROOT = Path(__file__).resolve().parents[1]
RECORD = ("config.yaml", "history.csv", "history.png", "log.txt", "versions.json")
REPORT = ("predictions.jsonl", "scores.json")
HABITS = {"broken": "share that break off", "repeats": "share that say a run of words twice in a row"}
METRICS = ("bleu1", "bleu2", "bleu3", "bleu4", "meteor", "rouge", "cider")
CONTROLS = ("bleu4", "cider")


def keep(run: Path, report: Path, folder: Path, say: dict[str, str]) -> dict[str, Any]:
    """Copies a run's record and its report's captions and scores; returns the scores."""
    files = [(run / name, folder / name) for name in RECORD] + [(report / n, folder / "report" / n) for n in REPORT]
    if run.resolve() == folder.resolve():
        files = []
    else:
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "report").mkdir(parents=True)
    for source, target in files:
        if not source.exists():
            continue
        shutil.copy(source, target)
        if target.suffix in (".yaml", ".txt", ".json"):
            text = target.read_text(encoding="utf-8")
            for here, said in say.items():
                text = text.replace(here, said)
            target.write_text(text, encoding="utf-8")
    scores: dict[str, Any] = json.loads((folder / "report" / "scores.json").read_text(encoding="utf-8"))
    return scores


def habits(folder: Path) -> Diversity:
    """Measures the captions that were kept."""
    lines = (folder / "report" / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    return diversity([json.loads(line)["caption"].split() for line in lines])


def minutes(run: Path) -> float:
    """Returns the minutes that a run's epochs took, dev decoding included."""
    lines = (run / "history.csv").read_text(encoding="utf-8").splitlines()
    column = lines[0].split(",").index("seconds")
    return sum(float(line.split(",")[column]) for line in lines[1:]) / 60


def parameters(run: Path) -> int:
    """Returns how many numbers a run trained, as its log says."""
    found = re.search(r"([\d,]+) trained parameters", (run / "log.txt").read_text(encoding="utf-8"))
    return int(found[1].replace(",", "")) if found else 0


def main() -> None:
    """Keeps one row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("row", help="the figures' name: flickr8k.ROW.…")
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--report", default="report")
    parser.add_argument("--command", required=True, help="what gives the figures")
    parser.add_argument("--note", required=True, help="what they are of")
    parser.add_argument("--along", type=Path, nargs="*", default=[], help="runs that write along, or came before")
    parser.add_argument("--say", action="append", default=[], metavar="HERE=SAID")
    args = parser.parse_args()
    path = ROOT / "results" / "summary.json"
    summary = json.loads(path.read_text(encoding="utf-8"))
    size_before = summary.get(f"flickr8k.{args.row}.checkpoint_mb")
    for old in [key for key in summary if key.startswith(f"flickr8k.{args.row}.")]:
        del summary[old]
    say = dict(one.split("=", 1) for one in args.say)
    names = [f"flickr8k_{args.row}" + (f"_{n + 1}" if n else "") for n in range(len(args.runs))]
    places = zip(args.runs, names, strict=True)
    scores = [keep(run, run / args.report, ROOT / "results" / name, say) for run, name in places]

    def enter(name: str, values: list[float], unit: str = "", note: str = args.note, **more: Any) -> None:
        spread = f"; {len(values)} seeds, ± {statistics.stdev(values):.4f}" if len(values) > 1 and more else ""
        summary[f"flickr8k.{args.row}.{name}"] = {
            "value": statistics.mean(values),
            "unit": unit,
            "command": args.command,
            "seeds": len(values),
            "note": note + spread,
            **more,
        }

    files = [f"results/{name}/report/scores.json" for name in names]
    for metric in METRICS:
        if all(metric in one["scores"] for one in scores):
            values = [one["scores"][metric]["value"] for one in scores]
            enter(metric, values, scores=[[file, "scores", metric, "value"] for file in files])
    for metric in CONTROLS:
        values = [one["shuffled_images"][metric] for one in scores]
        note = "the same captions on shuffled pictures"
        enter(f"shuffled_{metric}", values, note=note, scores=[[f, "shuffled_images", metric] for f in files])
    said = [habits(ROOT / "results" / name) for name in names]
    for habit, note in HABITS.items():
        enter(habit, [getattr(one, habit) for one in said], note=f"{note}; people's: human.{habit}")
    along = sum(minutes(run) for run in args.along)
    each = [minutes(run) + along for run in args.runs]
    enter("minutes", each, "min", "epochs and dev decoding of all its trainings, on two cores shared with other work")
    writing = [args.runs[0], *(args.along if "ensemble" in args.report else [])]
    enter("parameters", [sum(map(parameters, writing))], note="trained numbers")
    weights = [run / "model.weights.h5" for run in writing]
    if all(path.exists() for path in weights):
        size = sum(path.stat().st_size for path in weights) / 1e6
        enter("checkpoint_mb", [round(size, 1)], "MB", "model.weights.h5")
    elif size_before is not None:
        summary[f"flickr8k.{args.row}.checkpoint_mb"] = size_before
    path.write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
