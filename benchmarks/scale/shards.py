"""Training on WebDataset tars and on Parquet files against the same images in a folder: the same numbers, as fast.

    python -m benchmarks.scale.shards --data ../shared/flickr8k --weights FILE --scratch DIR [--write FILE]

The first images of each of Flickr8k's splits are written as tars and as Parquet files in the scratch folder. In each
round, the folder and both kinds of shards are measured turn by turn, in an order that changes: decoding alone,
extraction into a new store, and training from it. Rates are images per second of wall time; the rate of a kind of
shards is the median over the rounds of its ratio to the folder in the same round. CPU time is given beside it, since
the machine may be busy with other things. The first round, which compiles, is not counted.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.scale.scratch_shards import write_all
from capsmith.config import Config, load_config
from capsmith.core.files import write_json
from capsmith.data.flickr8k import Flickr8kConfig
from capsmith.data.records import Record, read_dataset
from capsmith.data.splits import SplitLists
from capsmith.training.fit import train
from capsmith.training.history import read_csv
from capsmith.vision.extraction import extract
from capsmith.vision.loading import load_images

STEPS = ("decode", "extract", "train", "extract and train")
KINDS = ("folder", "webdataset", "parquet")
_SHARES = {"train": 0.75, "dev": 0.15, "test": 0.1}


def chosen(data: Path, count: int) -> list[Record]:
    """Returns the first images of each split."""
    config = Flickr8kConfig(root=data, images=Path("Images"), captions=Path("Flickr8k.token.txt"), lists=SplitLists())
    corpus = read_dataset(config)
    return [record for split, share in _SHARES.items() for record in corpus.split(split)[: round(count * share)]]


def config_of(data: dict[str, Any], cache: Path, weights: str, side: int, epochs: int) -> Config:
    """Returns a small captioner on MobileNetV2."""
    return load_config(
        {
            "data": data,
            "text": {"min_count": 3, "max_length": 22},
            "encoder": {"type": "mobilenet_v2", "weights": weights, "image_size": side, "output": "grid"},
            "features": {"cache": str(cache)},
            "decoder": {"type": "inject", "mode": "par", "units": 128, "embedding": {"size": 128}},
            "training": {"epochs": epochs, "patience": None, "shuffle_window": None},
            "decoding": {"type": "greedy", "max_length": 22},
            "evaluation": {"after_training": None},
        }
    )


def turn(config: Config, scratch: Path) -> tuple[dict[str, tuple[float, float]], list[dict[str, Any]]]:
    """Measures one kind of data once; returns images, wall and CPU seconds of each step, and the history."""
    found: dict[str, tuple[float, float]] = {}

    def timed(step: str, work: Any) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        result = work()
        found[step] = time.perf_counter() - wall, time.process_time() - cpu
        return result

    records = read_dataset(config.data).records
    images = [(record.image_id, record.path) for record in records]
    size = (config.encoders[0].image_size or 224,) * 2
    timed("decode", lambda: sum(1 for _ in load_images(images, size, config.features.workers)))
    timed("extract", lambda: extract(images, config.encoders[0], config.features))
    run = scratch / "run"
    timed("train", lambda: train(config, run))
    found["extract and train"] = tuple(a + b for a, b in zip(found["extract"], found["train"], strict=True))  # type: ignore[assignment]
    history: list[dict[str, Any]] = [dict(row) for row in read_csv(run / "history.csv")]
    return found, history


def rounds(settings: dict[str, dict[str, Any]], args: argparse.Namespace) -> tuple[list[Any], dict[str, Any]]:
    """Returns the seconds of each round by kind, and the histories by kind."""
    seconds, histories = [], {}
    for number in range(args.rounds + 1):
        found = {}
        for kind in KINDS[number % 3 :] + KINDS[: number % 3]:
            with tempfile.TemporaryDirectory(dir=args.scratch) as name:
                config = config_of(settings[kind], Path(name) / "cache", args.weights, args.side, args.epochs)
                found[kind], histories[kind] = turn(config, Path(name))
            shown = ", ".join(f"{step} {wall:.1f} s ({cpu:.1f} of CPU)" for step, (wall, cpu) in found[kind].items())
            print(f"round {number} {kind:10} {shown}", flush=True)
        seconds.append(found)
    return seconds[1:], histories


def ratio(seconds: Sequence[Any], kind: str, step: str, clock: int) -> float:
    """Returns the median ratio of rates, shards ÷ folder, of wall (0) or CPU time (1)."""
    return statistics.median(found["folder"][step][clock] / found[kind][step][clock] for found in seconds)


def difference(histories: dict[str, Any]) -> float:
    """Returns the largest difference of any value of a history from that of the folder."""
    reference = histories["folder"]
    rows = [(mine, row) for kind in KINDS[1:] for mine, row in zip(histories[kind], reference, strict=True)]
    return max(abs(mine[key] - row[key]) for mine, row in rows for key in row if key != "seconds")


def main() -> None:
    """Makes the shards, measures, and prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/flickr8k"))
    parser.add_argument("--weights", required=True, help="MobileNetV2's weights, without top")
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--side", type=int, default=128, help="pixels of the encoder's images")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the figures as JSON")
    args = parser.parse_args()
    shards = args.scratch / "shards"
    settings = write_all(shards, chosen(args.data, args.images), 500)
    seconds, histories = rounds(settings, args)
    shutil.rmtree(shards)
    figures = _figures(seconds, difference(histories), args)
    print(json.dumps(figures, indent=2))
    if args.write:
        write_json(args.write, figures)


def _figures(seconds: Sequence[Any], diff: float, args: argparse.Namespace) -> dict[str, dict[str, object]]:
    both = "extract and train"
    rate = min(ratio(seconds, kind, both, 0) for kind in KINDS[1:])
    parts = "; ".join(
        f"{kind}: "
        + ", ".join(f"{s} {ratio(seconds, kind, s, 0):.2f} ({ratio(seconds, kind, s, 1):.2f})" for s in STEPS)
        for kind in KINDS[1:]
    )
    data = f"{args.images:,} images of Flickr8k at {args.side} pixels, MobileNetV2, {args.epochs} epochs"
    command = "python -m benchmarks.scale.shards"
    notes = (
        f"images/s of extraction and training from shards ÷ from a folder, the lower of WebDataset and Parquet, median "
        f"of {args.rounds} rounds turn by turn; {data}; each step, of wall time (of CPU time): {parts}"
    )
    same = f"largest difference of any value of history.csv, WebDataset and Parquet against a folder; {data}"
    return {
        "shards.history_maxdiff": {"value": float(f"{diff:.3g}"), "unit": "", "command": command, "note": same},
        "shards.rate": {"value": round(rate, 3), "unit": "×", "command": command, "note": notes},
    }


if __name__ == "__main__":
    main()
