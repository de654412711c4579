"""Memory of a corpus: bytes per image of records and of training batches, as objects and in flat buffers.

    python -m benchmarks.scale.corpus_memory [--images 1000000] [--write FILE]

Captions are synthetic: five for each image, with the lengths of Flickr8k's. Each form is measured in a new process, by
its resident memory. ``records`` as objects keep the tokens of their captions, as those of a folder do; ``batches`` as
objects are what ``data/batches.py`` held until version 23. Both are half of what a training holds.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed.corpus import EACH, LENGTHS, VOCABULARY, Features
from capsmith.data.batches import Batches
from capsmith.data.compact_records import CompactRecords
from capsmith.data.encoded_captions import EncodedCaptions, Example
from capsmith.data.records import Record
from capsmith.data.text.config import TextConfig

IMAGES = 1_000_000
STAGES = ("records_objects", "records_flat", "batches_objects", "batches_flat")
_CHUNK = 10_000


def sentences(images: int) -> Iterator[tuple[tuple[int, ...], ...]]:
    """Yields the token ids of the captions of each image; an id is one shared object, as in a vocabulary."""
    rng = np.random.default_rng(1)
    lengths, share = list(LENGTHS), np.array(list(LENGTHS.values()), float)
    chance = 1.0 / np.arange(1, VOCABULARY - 3)
    chance /= chance.sum()
    shared = list(range(VOCABULARY))
    for first in range(0, images, _CHUNK):
        sizes = rng.choice(lengths, (min(_CHUNK, images - first), EACH), p=share / share.sum())
        ids = iter((4 + rng.choice(VOCABULARY - 4, sizes.sum(), p=chance)).tolist())
        for row in sizes:
            yield tuple(tuple(shared[next(ids)] for _ in range(size)) for size in row)


def captions(images: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yields the member's name and the captions of each image."""
    words = [f"w{number:x}" + "abcde"[: number % 5] for number in range(VOCABULARY)]
    for number, some in enumerate(sentences(images)):
        texts = tuple(" ".join(words[index] for index in ids) for ids in some)
        yield f"train-{number // 10_000:06d}.tar/{number:09d}.jpg", texts


def records_objects(images: int) -> Any:
    """Makes a `Record` of each image, and its tokens, as reading a folder and making its vocabulary do."""
    root, text = Path("/data/shards"), TextConfig()
    made = [Record(name, root / name, some, "train") for name, some in captions(images)]
    for record in made:
        record.tokens(text)
    return made


def records_flat(images: int) -> Any:
    """Makes compact records."""
    made = CompactRecords(Path("/data/shards"))
    for name, some in captions(images):
        made.append(name, name, some, "train")
    return made


def batches_objects(images: int) -> Any:
    """Makes an epoch of batches of Python objects: examples, their parts, and a list of each batch."""
    examples = [Example(row, some) for row, some in enumerate(sentences(images))]
    parts = [Example(example.row, example.captions[:5]) for example in examples]
    order = np.random.default_rng(0).permutation(images)
    batches: list[list[int]] = []
    for first in range(0, images, 512):
        ranked = sorted(order[first : first + 512], key=lambda index: parts[index].longest)
        batches += [ranked[start : start + 32] for start in range(0, len(ranked), 32)]
    rows = np.array([example.row for example in parts], np.int64)
    return examples, parts, order, batches, rows


def batches_flat(images: int) -> Any:
    """Makes `Batches`."""
    encoded = EncodedCaptions(Example(row, some) for row, some in enumerate(sentences(images)))
    return Batches(Features(np.zeros((512, 1, 8), np.float32)), encoded, 160, 0)


def resident() -> int:
    """Returns the resident memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measured(stage: str, images: int) -> dict[str, float]:
    """Returns bytes per image and seconds of a stage, measured in a new process."""
    command = [sys.executable, "-m", "benchmarks.scale.corpus_memory", "--stage", stage, "--images", str(images)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measures all forms and prints a line for each, then the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--objects", type=int, default=None, help="images of the forms as objects (default: --images)")
    parser.add_argument("--stage", choices=STAGES, help="measure one form in this process")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the figures as JSON")
    args = parser.parse_args()
    if args.stage:
        for _ in sentences(2):
            pass
        before, began = resident(), time.perf_counter()
        made = globals()[args.stage](args.images)
        gc.collect()
        per_image = (resident() - before) / args.images
        print(json.dumps({"bytes": per_image, "seconds": time.perf_counter() - began}))
        assert made  # noqa: S101 - it must live until here
        return
    found = {}
    for stage in STAGES:
        images = (args.objects or args.images) if stage.endswith("objects") else args.images
        found[stage] = measured(stage, images)
        print(f"{stage:16} {found[stage]['bytes']:7,.0f} bytes an image, {images:,} images", flush=True)
    figures = _figures(found, args.images)
    print(json.dumps(figures, indent=2))
    if args.write:
        args.write.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def _figures(found: dict[str, dict[str, float]], images: int) -> dict[str, dict[str, object]]:
    flat, objects = (
        sum(found[f"{what}_{form}"]["bytes"] for what in ("records", "batches")) for form in ("flat", "objects")
    )
    parts = ", ".join(f"{stage} {found[stage]['bytes']:,.0f}" for stage in STAGES)
    note = f"records and an epoch of batches of {images:,} images with five captions each; bytes an image: {parts}"
    command = "python -m benchmarks.scale.corpus_memory"
    return {
        "scale.corpus_bytes": {"value": round(flat), "unit": "bytes", "command": command, "note": note},
        "scale.corpus_bytes_before": {"value": round(objects), "unit": "bytes", "command": command, "note": note},
    }


if __name__ == "__main__":
    main()
