"""A page about a dataset: images with captions, caption lengths, word frequencies, and problems."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from capsmith.data.onboarding.statistics import DatasetStatistics
from capsmith.data.onboarding.summary import describe
from capsmith.data.records import SPLITS, Record
from capsmith.evaluation.augmentation_page import Variants
from capsmith.evaluation.html import Card, clear_copies, small_copy, write_page

_WORDS, _PROBLEMS, _PAIRS = 30, 40, 12
_COUNTS = (1, 2, 3, 5, 10)


def write_inspection(
    directory: Path,
    title: str,
    statistics: DatasetStatistics,
    images: int = 24,
    seed: int = 0,
    variants: Variants | None = None,
) -> Path:
    """Writes ``index.html`` and the images that it shows.

    Args:
        directory: The folder of the page.
        title: The heading.
        statistics: The dataset and its statistics.
        images: The number of images, drawn at random with the same share of each split.
        seed: The seed of the draw.
        variants: Variants of training images for the page; None leaves them out.

    Returns:
        The path of the page.
    """
    folder, used = directory / "images", set[str]()
    shown = _drawn(statistics.corpus.records, images, seed)
    unit = _unit(statistics)
    values = {
        "facts": [(line[:16].strip(), line[16:]) for line in describe(statistics)],
        "charts": [
            _chart("Tokens per caption", _lengths(statistics)),
            _chart(f"The {_WORDS} most frequent {unit}", _frequent(statistics)),
        ],
        "unit": unit,
        "vocabulary": [(n, statistics.vocabulary_size(n), statistics.unknown_rate(n)) for n in _COUNTS],
        "images": [_card(record, folder, used) for record in shown],
        "variants": None if variants is None else variants.section(folder, used),
        "duplicates": _duplicates(statistics, folder, used),
        "problems": _problems(statistics),
        "notes": ["Images are drawn at random. Each list of problems ends after the first few dozen."],
    }
    clear_copies(folder, used)
    return write_page(directory / "index.html", "dataset.html", title, **values)


def _lengths(statistics: DatasetStatistics) -> list[tuple[str, int]]:
    counts = Counter(statistics.lengths)
    step = max(1, -(-(max(counts) + 1) // 40))
    bins = range(0, max(counts) + 1, step)
    label = "{0}" if step == 1 else "{0}–{1}"
    return [(label.format(n, n + step - 1), sum(counts[n + more] for more in range(step))) for n in bins]


def _frequent(statistics: DatasetStatistics) -> list[tuple[str, int]]:
    return [(word if word != " " else "␣", count) for word, count in statistics.word_counts.most_common(_WORDS)]


def _chart(heading: str, values: Sequence[tuple[str, int]]) -> dict[str, Any]:
    """Returns vertical bars with labels below them: their places in an SVG 190 units high."""
    width, wide = 940, 940 / max(len(values), 1)
    most = max((count for _, count in values), default=1) or 1
    bars = [
        {
            "label": label,
            "count": count,
            "x": place * wide + 1,
            "width": max(wide - 2, 1),
            "height": 130 * count / most,
            "centre": place * wide + wide / 2 + 3,
        }
        for place, (label, count) in enumerate(values)
    ]
    return {"heading": heading, "width": width, "bars": bars}


def _card(record: Record, folder: Path, used: set[str]) -> Card:
    file = small_copy(record.path, record.image_id, folder)
    if file:
        used.add(file)
    return Card(file, alt=record.captions[0], name=record.image_id, lines=record.captions, note=record.split)


def _duplicates(statistics: DatasetStatistics, folder: Path, used: set[str]) -> dict[str, Any] | None:
    by_id = {record.image_id: record for record in statistics.corpus.records}
    leaks = statistics.leaks
    groups = sorted(statistics.images.duplicates, key=lambda group: group not in leaks)
    if not groups:
        return None
    pairs = [[_card(by_id[image_id], folder, used) for image_id in group[:2]] for group in groups[:_PAIRS]]
    return {"groups": len(groups), "leaks": len(leaks), "pairs": pairs}


def _problems(statistics: DatasetStatistics) -> list[dict[str, Any]]:
    kinds = dict(statistics.corpus.problems.by_kind)
    if statistics.images.unreadable:
        kinds["image that cannot be read"] = list(statistics.images.unreadable.values())
    return [
        {"kind": kind, "count": len(examples), "examples": examples[:_PROBLEMS]} for kind, examples in kinds.items()
    ]


def _drawn(records: Sequence[Record], count: int, seed: int) -> list[Record]:
    rng = np.random.default_rng(seed)
    drawn: list[Record] = []
    for split in (*SPLITS, ""):
        in_split = [record for record in records if record.split == split]
        share = min(len(in_split), -(-count * len(in_split) // max(len(records), 1)))
        drawn += [in_split[index] for index in rng.permutation(len(in_split))[:share]]
    return drawn[:count]


def _unit(statistics: DatasetStatistics) -> str:
    return "characters" if statistics.text.mode == "char" else "words"
