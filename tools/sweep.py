"""Scores a grid of decoding settings on dev, so that the choice made on dev can be verified from the repository.

    python -m tools.sweep quick runs/flickr8k_quick --grid decoding.beam_size=1,3,5,8 \
        --grid decoding.length_penalty=0.4,0.7,1.0

Every combination is a line of ``results/flickr8k/ROW/seed_N/sweep_dev.csv`` with the SHA-256 of the weights that it
was measured with. Combinations that the file already has are skipped. The split is always dev; test is never read.
"""

import argparse
import csv
import itertools
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from capsmith import evaluate
from capsmith.core.files import atomic
from capsmith.evaluation.readings import sources
from capsmith.metrics.diversity import diversity
from tools.measures import read_yaml
from tools.paths import RESULTS
from tools.rows import folder_of

METRICS = ("bleu1", "bleu2", "bleu3", "bleu4", "rouge", "cider")
MEASURES = (*METRICS, "shuffled_cider", "broken", "repeats", "images", "seconds", "weights_sha256")


def combinations(grid: Sequence[str]) -> Iterator[dict[str, str]]:
    """Yields every combination of ``key=value,value`` ; the last key varies fastest."""
    keys = [one.partition("=")[0] for one in grid]
    values = [one.partition("=")[2].split(",") for one in grid]
    for chosen in itertools.product(*values):
        yield dict(zip(keys, chosen, strict=True))


def weights_of(runs: Sequence[Path]) -> str:
    """Returns the SHA-256 of each run's weights."""
    return " ".join(one["weights_sha256"] for one in sources(runs))


def measure(runs: Sequence[Path], settings: dict[str, str], overrides: Sequence[str]) -> dict[str, str]:
    """Decodes dev with one combination of settings and returns its line."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        changes = [*overrides, *(f"{key}={value}" for key, value in settings.items())]
        evaluation = evaluate(list(runs), "dev", changes, Path(folder))
    counts = diversity([caption.text.split() for caption in evaluation.captions.values()])
    line = {name: f"{evaluation.scores[name].value:.4f}" for name in METRICS}
    line |= {"shuffled_cider": f"{evaluation.control['cider'].value:.4f}", "images": str(len(evaluation.captions))}
    line |= {"broken": f"{counts.broken:.4f}", "repeats": f"{counts.repeats:.4f}"}
    line |= {"seconds": f"{time.perf_counter() - started:.0f}"}
    return settings | line | {"weights_sha256": weights_of(runs)}


def read(path: Path) -> list[dict[str, str]]:
    """Reads the lines of an earlier sweep; none when there is no file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, lines: Sequence[dict[str, str]]) -> None:
    """Writes all lines, settings first. A setting that a line does not vary is empty."""
    settings = dict.fromkeys(key for line in lines for key in line if key not in MEASURES)
    with atomic(path) as file:
        table = csv.DictWriter(file, [*settings, *MEASURES], restval="", lineterminator="\n")
        table.writeheader()
        table.writerows(lines)


def main() -> None:
    """Measures the combinations of a grid that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("row", help="a row of the results tables")
    parser.add_argument("runs", type=Path, nargs="+", help="a run; several runs are an ensemble")
    parser.add_argument("--grid", action="append", required=True, metavar="KEY=VALUE,VALUE")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="the same for every line")
    parser.add_argument("--out", type=Path, default=RESULTS, help="default: results")
    args = parser.parse_args()
    seed = read_yaml(args.runs[0] / "config.yaml")["seed"]
    path = args.out / folder_of(args.row, seed) / "sweep_dev.csv"
    weights = weights_of(args.runs)
    lines = read(path)
    for settings in combinations(args.grid):
        same = {**settings, "weights_sha256": weights}
        if any(same.items() <= line.items() for line in lines):
            continue
        lines.append(measure(args.runs, settings, args.set))
        write(path, lines)
        print({key: lines[-1][key] for key in (*settings, "bleu4", "cider", "seconds")}, flush=True)
    best = max(lines, key=lambda line: float(line["cider"]))
    print("highest dev CIDEr:", {key: value for key, value in best.items() if key not in MEASURES}, best["cider"])


if __name__ == "__main__":
    main()
