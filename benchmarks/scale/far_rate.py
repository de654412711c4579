"""Rate and memory of an epoch over a store much larger than the data set: Flickr8k's images repeated to a million rows.

    python -m benchmarks.scale.far_rate --scratch DIR [--rows 1000000] [--write FILE]

The store is a file of grids; row r holds the features of image r mod 8,091, and its captions are that image's. An epoch
of `Batches` with a shuffle window is read from the first batch to the last, as a training does, without the model. The
rate at the far end is that of the last tenth of the batches, the rate at the start that of the first tenth. Both are of
the process's CPU time as well, since the machine may be busy with other things.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.scale.corpus_memory import resident
from capsmith.core.files import write_json
from capsmith.data.batches import Batches
from capsmith.data.encoded_captions import EncodedCaptions, Example
from capsmith.data.flickr8k import Flickr8kConfig
from capsmith.data.records import read_dataset
from capsmith.data.sources import TrainingSource
from capsmith.data.splits import SplitLists
from capsmith.data.text.config import TextConfig
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.vision.grid_file import GridFile
from capsmith.vision.images import load_image

GRID = (4, 1280)
_SIDE = 32  # pixels from which features are made
_TENTHS = 10


def features_of(paths: list[Path]) -> np.ndarray:
    """Returns some features (N, 4, 1280) of images: a random projection of their pixels, which no network needs."""
    projection = np.random.default_rng(0).normal(0, 0.05, (_SIDE * _SIDE * 3 // 4, GRID[1])).astype(np.float32)
    pixels = np.stack([load_image(path, (_SIDE, _SIDE)) for path in paths]).reshape(-1, len(projection))
    parts = np.array_split(pixels, max(1, len(pixels) // 4096))
    return np.concatenate([(part / np.float32(255) @ projection).astype(np.float16) for part in parts]).reshape(
        -1, *GRID
    )


def write_store(folder: Path, features: np.ndarray, rows: int) -> None:
    """Writes features, repeated to ``rows`` rows, as the file of a feature store."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "features.npy"
    with path.open("wb") as file:
        header = {"descr": "<f2", "fortran_order": False, "shape": (rows, *features.shape[1:])}
        np.lib.format.write_array_header_1_0(file, header)
        for first in range(0, rows, len(features)):
            features[: rows - first].tofile(file)
        file.flush()
        os.fsync(file.fileno())  # writing must not go on while the store is read


class Rows(TrainingSource):
    """The rows of a grid file."""

    def __init__(self, file: GridFile) -> None:
        self.file = file

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Returns features (P, …) of rows."""
        return self.file.read(rows)


def measure(batches: Batches) -> dict[str, Any]:
    """Reads an epoch; returns images per second of each tenth, of wall and of CPU time, and resident bytes after it."""
    found: dict[str, list[float]] = {"wall": [], "cpu": [], "resident": []}
    borders = np.linspace(0, len(batches), _TENTHS + 1).astype(int)
    for first, last in zip(borders[:-1], borders[1:], strict=True):
        wall, cpu = time.perf_counter(), time.process_time()
        for index in range(first, last):
            batches.load(index)
        images = (last - first) * batches.images
        found["wall"].append(images / (time.perf_counter() - wall))
        found["cpu"].append(images / (time.process_time() - cpu))
        found["resident"].append(resident())
        print(f"batch {last:,}: {found['wall'][-1]:,.0f} images/s, {found['resident'][-1] / 1e6:,.0f} MB", flush=True)
    return found


def main() -> None:
    """Makes the store, reads an epoch, and prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/flickr8k"))
    parser.add_argument("--scratch", type=Path, required=True, help="folder of the store: 10 kB a row")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--window", type=int, default=50_000, help="training.shuffle_window")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the figures as JSON")
    args = parser.parse_args()
    config = Flickr8kConfig(
        root=args.data, images=Path("Images"), captions=Path("Flickr8k.token.txt"), lists=SplitLists()
    )
    records, text = read_dataset(config).records, TextConfig()
    vocabulary = Vocabulary.build((tokens for record in records for tokens in record.tokens(text)), 5)
    encoded = [tuple(tuple(vocabulary.encode(tokens)[:22]) for tokens in record.tokens(text)) for record in records]
    write_store(args.scratch, features_of([record.path for record in records]), args.rows)
    examples = EncodedCaptions(Example(row, encoded[row % len(encoded)]) for row in range(args.rows))
    file = GridFile(args.scratch / "features.npy", GRID, "float16", args.rows)
    batches = Batches(Rows(file), examples, 160, 0, window=args.window)
    batches.set_epoch(1)
    figures = _figures(measure(batches), args.rows, args.window)
    (args.scratch / "features.npy").unlink()
    print(json.dumps(figures, indent=2))
    if args.write:
        write_json(args.write, figures)


def _figures(found: dict[str, list[float]], rows: int, window: int) -> dict[str, dict[str, object]]:
    wall, cpu, memory = found["wall"], found["cpu"], found["resident"]
    what = f"an epoch of {rows:,} rows of 10 kB with five captions each, shuffled in windows of {window:,}, batch 160"
    command = "python -m benchmarks.scale.far_rate --scratch DIR"
    rate = (
        f"images/s of the last tenth ÷ that of the first: {wall[-1]:,.0f} ÷ {wall[0]:,.0f}; of CPU time "
        f"{cpu[-1] / cpu[0]:.3f}; {what}; memory {memory[0] / 1e6:,.0f} MB after the first tenth"
    )
    growth = f"resident memory after the last tenth ÷ after the first, less 1: {what}"
    return {
        "scale.far_rate": {"value": round(wall[-1] / wall[0], 3), "unit": "×", "command": command, "note": rate},
        "scale.far_memory_growth": {
            "value": round(memory[-1] / memory[0] - 1, 4),
            "unit": "",
            "command": command,
            "note": growth,
        },
    }


if __name__ == "__main__":
    main()
