"""Keeps what a figure rests on: copies runs into ``results/`` and enters their scores into ``summary.json``.

    python results/keep.py xe runs/flickr8k_attention runs/seed2 runs/seed3 --note "beam 5" --command "capsmith train …"

Of several runs (seeds of one recipe) the mean is entered, with the spread in the note. ``rows.py`` says what the row
is: runs of another recipe, or decoded in another way, are refused, since a figure's name keeps its meaning.
``--report`` names another folder of the first run whose report counts, such as ``report/ensemble``; the record of
every member of an ensemble (``--along``) is kept too, and so are dev reports and the runs' log of test readings.
Paths of this machine are replaced by those of the command: ``--say /where/it/was=../shared``. A seed that was kept
before is given by its folder in ``results/``, in the place where it stands, and stays as it is.
"""

import argparse
import json
import re
import shutil
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent))

from rows import ENCODER_SIZES, MEMORY_BYTES, ROWS, Row  # noqa: E402

from capsmith.evaluation import readings  # noqa: E402
from capsmith.metrics.diversity import Diversity, diversity  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
RECORD = ("config.yaml", "history.csv", "history.png", "log.txt", "versions.json")
REPORT = ("predictions.jsonl", "scores.json")
HABITS = {"broken": "share that break off", "repeats": "share that say a run of words twice in a row"}
METRICS = ("bleu1", "bleu2", "bleu3", "bleu4", "meteor", "rouge", "cider")
CONTROLS = ("bleu4", "cider")
PLACES = ("seed", "data.root", "features.cache", "training.start", "training.start_config", "decoding.seed")
"""What seeds of one recipe may differ in, beside where encoders lie and how often a training is saved."""


def keep(run: Path, report: Path, folder: Path, say: Mapping[str, str], along: Sequence[Path] = ()) -> dict[str, Any]:
    """Copies a run's record, its members' records, its dev report, and its report; returns the scores."""
    if run.resolve() != folder.resolve():
        shutil.rmtree(folder, ignore_errors=True)
        dev = report / "dev"
        files = [(run / name, folder / name) for name in RECORD]
        files += [
            (source / n, folder / "report" / part / n) for source, part in ((report, ""), (dev, "dev")) for n in REPORT
        ]
        files += [(one / name, folder / "members" / one.name / name) for one in along for name in RECORD]
        for source, target in files:
            if source.exists():
                copy(source, target, say)
    scores: dict[str, Any] = json.loads((folder / "report" / "scores.json").read_text(encoding="utf-8"))
    record_as_evaluated(folder, scores)
    return scores


def copy(source: Path, target: Path, say: Mapping[str, str]) -> None:
    """Copies a file; in text, places of this machine become those of the command."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
    if target.suffix in (".yaml", ".txt", ".json", ".jsonl"):
        text = target.read_text(encoding="utf-8")
        for here, said in say.items():
            text = text.replace(here, said)
        target.write_text(text, encoding="utf-8")


def record_as_evaluated(folder: Path, scores: Mapping[str, Any]) -> None:
    """Writes the decoding that gave the scores, and the precision that was trained in, into the kept config.

    A run's own config holds the decoding it was trained with, which ``evaluate --set`` may have changed, and
    ``precision: auto``, which is another thing on another machine.
    """
    path = folder / "config.yaml"
    text = path.read_text(encoding="utf-8")
    head = "".join(line + "\n" for line in text.splitlines() if line.startswith("#"))
    config = yaml.safe_load(text)
    versions = json.loads((folder / "versions.json").read_text(encoding="utf-8"))
    changed = []
    if config["decoding"] != scores["decoding"]:
        config["decoding"] = scores["decoding"]
        changed.append("decoding: that of report/scores.json, as it was evaluated")
    if config["training"].get("precision") == "auto" and "precision" in versions:
        config["training"]["precision"] = versions["precision"]
        changed.append(f"training.precision: auto, which was {versions['precision']} (versions.json)")
    if changed:
        head += "".join(f"# {one}\n" for one in changed)
        path.write_text(head + yaml.safe_dump(config, sort_keys=False, allow_unicode=True), encoding="utf-8")


def flat(values: Any, prefix: str = "") -> dict[str, Any]:
    """Returns a config's values by their paths."""
    if not isinstance(values, dict | list) or not values:
        return {prefix[:-1]: values}
    items: Iterable[tuple[Any, Any]] = values.items() if isinstance(values, dict) else enumerate(values)
    return {path: value for key, one in items for path, value in flat(one, f"{prefix}{key}.").items()}


def differences(folder: Path, other: Path) -> list[str]:
    """Returns the keys in which the recipes of two kept folders differ; keys that one did not know yet are none."""
    left, right = (flat(yaml.safe_load((one / "config.yaml").read_text(encoding="utf-8"))) for one in (folder, other))
    ignored = (*PLACES, "training.checkpoint_every")
    keys = [key for key in left if key in right and key not in ignored and not key.endswith(("adapt.into", "weights"))]
    found = [key for key in keys if left[key] != right[key]]
    precisions = [
        json.loads((one / "versions.json").read_text(encoding="utf-8")).get("precision", "float32")
        for one in (folder, other)
    ]
    return found + (["training.precision"] if precisions[0] != precisions[1] else [])


def require_row(name: str, row: Row, folders: Sequence[Path], scores: Sequence[Mapping[str, Any]]) -> None:
    """Stops when what was kept is not what the row's name means."""
    for folder, one in zip(folders, scores, strict=True):
        other = {
            key: one["decoding"].get(key) for key, value in row.search.items() if one["decoding"].get(key) != value
        }
        if other:
            sys.exit(f"{folder}: {name} means {row.search}, and this was decoded with {other}: give it another row")
        if changed := differences(folders[0], folder):
            sys.exit(f"{folder} is of another recipe than {folders[0]} ({', '.join(changed)}): give it another row")


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


def sizes(row: Row, decoder: int, decoder_mb: float) -> tuple[int, float]:
    """Returns what captioning needs in all: numbers of decoders and encoders, and MB of these and of the memory.

    Args:
        row: Says how many captioners there are, which encoders (shared by all), and whether captions are looked up.
        decoder: Numbers of all decoders.
        decoder_mb: MB of all ``model.weights.h5``.
    """
    numbers, data = (sum(ENCODER_SIZES[one][part] for one in row.encoders) for part in (0, 1))
    return decoder + numbers, round(decoder_mb + (data + MEMORY_BYTES * row.looks_up) / 1e6, 1)


def gather(name: str, runs: Sequence[Path], say: Mapping[str, str]) -> None:
    """Adds what the runs' logs of test readings hold to ``results/test_readings.jsonl``; nothing is taken out."""
    path = ROOT / "results" / readings.FILE
    known = {entry["id"] for entry in readings.read(path)}
    for entry in (entry for run in runs for entry in readings.read(run / readings.FILE)):
        if entry["id"] not in known:
            known.add(entry["id"])
            text = json.dumps({"row": name, **entry}, ensure_ascii=False)
            for here, said in say.items():
                text = text.replace(here, said)
            readings.append(path, json.loads(text))


def main() -> None:
    """Keeps one row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("row", choices=ROWS, metavar="ROW", help="a row of rows.py; its figures are flickr8k.ROW.…")
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--report", default="report")
    parser.add_argument("--command", required=True, help="what gives the figures")
    parser.add_argument("--note", required=True, help="what they are of")
    parser.add_argument("--along", type=Path, nargs="*", default=[], help="runs that write along, or came before")
    parser.add_argument("--say", action="append", default=[], metavar="HERE=SAID")
    args = parser.parse_args()
    row, along = ROWS[args.row], args.along
    path = ROOT / "results" / "summary.json"
    summary = json.loads(path.read_text(encoding="utf-8"))
    say = dict(one.split("=", 1) for one in args.say)
    names = [f"flickr8k_{args.row}" + (f"_{n + 1}" if n else "") for n in range(len(args.runs))]
    folders = [ROOT / "results" / name for name in names]
    pairs = list(zip(args.runs, folders, strict=True))
    scores = [keep(run, run / args.report, folder, say, along if run == args.runs[0] else ()) for run, folder in pairs]
    require_row(args.row, row, folders, scores)
    gather(args.row, [*args.runs, *along], say)
    size_before = summary.get(f"flickr8k.{args.row}.checkpoint_mb")
    for old in [key for key in summary if key.startswith(f"flickr8k.{args.row}.")]:
        del summary[old]

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
        note = "the same captions on shuffled images"
        enter(f"shuffled_{metric}", values, note=note, scores=[[f, "shuffled_images", metric] for f in files])
    said = [habits(folder) for folder in folders]
    for habit, note in HABITS.items():
        enter(habit, [getattr(one, habit) for one in said], note=f"{note}; people's: human.{habit}")
    each = [minutes(run) + sum(map(minutes, along)) for run in args.runs]
    enter("training_minutes", each, "min", MINUTES)
    writing = [args.runs[0], *(along if row.members > 1 else [])]
    decoders = sum(map(parameters, writing))
    enter("parameters", [decoders], note="trained numbers")
    weights = [run / "model.weights.h5" for run in writing]
    if all(path.exists() for path in weights):
        size = sum(path.stat().st_size for path in weights) / 1e6
        enter("checkpoint_mb", [round(size, 1)], "MB", "model.weights.h5")
    elif size_before is not None:
        summary[f"flickr8k.{args.row}.checkpoint_mb"] = size_before
    if f"flickr8k.{args.row}.checkpoint_mb" in summary:
        numbers, size = sizes(row, decoders, summary[f"flickr8k.{args.row}.checkpoint_mb"]["value"])
        enter("all_parameters", [numbers], note=NUMBERS)
        enter("all_mb", [size], "MB", FILES)
    path.write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print("now: python results/reading.py, python results/like_for_like.py, make tables")


MINUTES = (
    "epochs and dev decodings of all trainings that it needs (history.csv), on two cores shared with other work; "
    "adapting encoders, features and test are not in it"
)
NUMBERS = "numbers in decoders and encoders together; encoders that several captioners share count once"
FILES = "weights of decoders and encoders, and for consensus what is remembered of the training images (memory.npz)"


if __name__ == "__main__":
    main()
