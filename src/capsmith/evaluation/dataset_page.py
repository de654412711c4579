"""A page about a dataset: images with captions, caption lengths, word frequencies, and problems."""

from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from capsmith.data.onboarding.statistics import DatasetStatistics
from capsmith.data.onboarding.summary import describe
from capsmith.data.records import SPLITS, Record
from capsmith.evaluation.augmentation_page import Variants
from capsmith.evaluation.html import cards, clear_copies, footer, image, small_copy, write_page

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
    parts = [
        _facts(statistics),
        "<h2>Tokens per caption</h2>" + _bars(_lengths(statistics)),
        f"<h2>The {_WORDS} most frequent {_unit(statistics)}</h2>" + _bars(_frequent(statistics)),
        _unknown(statistics),
        "<h2>Images</h2>" + cards(_image(record, folder, used) for record in shown),
        "" if variants is None else variants.html(folder, used),
        _duplicates(statistics, folder, used),
        _problems(statistics),
        footer(["Images are drawn at random. Each list of problems ends after the first few dozen."]),
    ]
    clear_copies(folder, used)
    return write_page(directory / "index.html", title, [part for part in parts if part])


def _facts(statistics: DatasetStatistics) -> str:
    rows = []
    for line in describe(statistics):
        head, text = line[:16].strip(), line[16:]
        rows.append(f'<tr><th scope="row">{escape(head)}</th><td>{escape(text)}</td></tr>')
    return f'<div class="wide"><table><tbody>{"".join(rows)}</tbody></table></div>'


def _lengths(statistics: DatasetStatistics) -> list[tuple[str, int]]:
    counts = Counter(statistics.lengths)
    step = max(1, -(-(max(counts) + 1) // 40))
    bins = range(0, max(counts) + 1, step)
    label = "{0}" if step == 1 else "{0}–{1}"
    return [(label.format(n, n + step - 1), sum(counts[n + more] for more in range(step))) for n in bins]


def _frequent(statistics: DatasetStatistics) -> list[tuple[str, int]]:
    return [(word if word != " " else "␣", count) for word, count in statistics.word_counts.most_common(_WORDS)]


def _bars(values: Sequence[tuple[str, int]]) -> str:
    """Returns vertical bars with labels below them, as SVG."""
    width, height, wide = 940, 190, 940 / max(len(values), 1)
    most = max((count for _, count in values), default=1) or 1
    shapes = []
    for place, (label, count) in enumerate(values):
        x, tall = place * wide, 130 * count / most
        shapes.append(
            f'<rect x="{x + 1:.1f}" y="{140 - tall:.1f}" width="{max(wide - 2, 1):.1f}" height="{tall:.1f}">'
            f"<title>{escape(label)}: {count:,}</title></rect>"
            f'<text transform="translate({x + wide / 2 + 3:.1f},147) rotate(60)">{escape(label)}</text>'
        )
    return f'<svg class="bars" viewBox="0 0 {width} {height}" role="img">{"".join(shapes)}</svg>'


def _unknown(statistics: DatasetStatistics) -> str:
    rows = "".join(
        f'<tr><th scope="row">{count}</th><td>{statistics.vocabulary_size(count):,}</td>'
        f"<td>{statistics.unknown_rate(count):.2%}</td></tr>"
        for count in _COUNTS
    )
    head = f"<tr><th>text.min_count</th><th>{_unit(statistics)} kept</th><th>unknown in dev</th></tr>"
    return (
        "<h2>Words that the vocabulary would lack</h2>"
        f'<div class="wide"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'
    )


def _image(record: Record, folder: Path, used: set[str]) -> str:
    file = small_copy(record.path, record.image_id, folder)
    if file:
        used.add(file)
    captions = "".join(f'<li dir="auto">{escape(caption)}</li>' for caption in record.captions)
    name = escape(record.image_id)
    return (
        f"<figure>{image(file, record.captions[0])}<figcaption><ul>{captions}</ul>"
        f'<div class="id"><span title="{name}">{name}</span><span>{record.split}</span></div></figcaption></figure>'
    )


def _duplicates(statistics: DatasetStatistics, folder: Path, used: set[str]) -> str:
    by_id = {record.image_id: record for record in statistics.corpus.records}
    leaks = statistics.leaks
    groups = sorted(statistics.images.duplicates, key=lambda group: group not in leaks)
    if not groups:
        return ""
    pairs = (
        f'<div class="pair">{"".join(_image(by_id[image_id], folder, used) for image_id in group[:2])}</div>'
        for group in groups[:_PAIRS]
    )
    in_several = f", {len(leaks):,} of them in different splits: test images are in the training data" if leaks else ""
    summary = f"<p>{len(groups):,} group{'s' * (len(groups) > 1)} of images{in_several}.</p>"
    return "<h2>Images with the same content</h2>" + summary + cards(pairs)


def _problems(statistics: DatasetStatistics) -> str:
    kinds = dict(statistics.corpus.problems.by_kind)
    if statistics.images.unreadable:
        kinds["image that cannot be read"] = list(statistics.images.unreadable.values())
    if not kinds:
        return "<h2>Problems</h2><p>None: every row and every image can be used.</p>"
    return "<h2>Problems</h2>" + "".join(_listed(kind, examples) for kind, examples in kinds.items())


def _listed(kind: str, examples: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(example)}</li>" for example in examples[:_PROBLEMS])
    more = f"<li>and {len(examples) - _PROBLEMS:,} more</li>" if len(examples) > _PROBLEMS else ""
    return f'<p>{len(examples):,} × {escape(kind)}</p><ul class="plain">{items}{more}</ul>'


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
