"""Milliseconds an image in Chromium, and how many captions are Python's, for a web export.

    python -m benchmarks.web EXPORT --images FOLDER [--names FILE] [--limit 100] [--run RUN] [--threads]

The page captions the images one by one, on one thread unless ``--threads``: then it is visited twice, because the
service worker makes threads possible. Times are medians over the images without the first three. Captions are compared
with those of ``--run``, the checkpoint; without it with those of the export in Python. Rerankers, which the page lacks,
are off. Prints a table and a JSON line.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from benchmarks import browser

_WARM_UP = 3  # images whose times do not count
_AT_ONCE = 50  # images on the page at once
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def measure(export: Path, images: list[Path], threads: bool = False) -> tuple[list[browser.Shown], dict[str, Any]]:
    """Captions images in Chromium.

    Args:
        export: A web export.
        images: Image files.
        threads: Use several threads.

    Returns:
        What the page shows for each image, and figures of the visit.
    """
    shown: list[browser.Shown] = []
    with browser.launched() as chromium, browser.served(export.parent) as address:
        visit = browser.Visit.begin(chromium.new_context(), f"{address}/{export.name}/")
        if threads:
            visit.page.wait_for_selector("body[data-offline]", timeout=60_000)
            visit.page.reload()
            visit.wait_for_captioner()
        for first in range(0, len(images), _AT_ONCE):
            shown += visit.caption(images[first : first + _AT_ONCE])
        figures = {
            "threads": int(visit.page.get_attribute("body", "data-threads") or 0),
            "browser": chromium.version,
            "problems": visit.problems[:3],
        }
    return shown, figures


def medians(shown: list[browser.Shown]) -> dict[str, float]:
    """Returns the median milliseconds of each part."""
    counted = [card.milliseconds for card in shown if card.state == "captioned"]
    counted = counted[_WARM_UP:] or counted
    return {f"{part}_ms": round(statistics.median(one[part] for one in counted), 1) for part in counted[0]}


def python_captions(model: Path, images: list[Path]) -> list[str]:
    """Returns the captions of a run or an export by Python, without a reranker."""
    from capsmith import Captioner

    captioner = Captioner.load(model)
    decoding = captioner.config.decoding
    if decoding.rerank is not None:
        decoding = decoding.model_copy(update={"rerank": None})
    return [caption.text for caption in captioner.caption(images, decoding)]


def main() -> None:
    """Prints a table and a JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("export", type=Path)
    parser.add_argument("--images", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--names", type=Path, metavar="FILE", help="names of the images to use, one a line")
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--run", type=Path, help="the checkpoint to compare with")
    parser.add_argument("--threads", action="store_true")
    args = parser.parse_args()
    names = args.names.read_text().split() if args.names else sorted(path.name for path in args.images.iterdir())
    images = [args.images / name for name in names if Path(name).suffix.lower() in _SUFFIXES][: args.limit]
    shown, figures = measure(args.export.resolve(), images, args.threads)
    expected = python_captions(args.run or args.export, images)
    differing = [
        (image.name, card.text, text)
        for image, card, text in zip(images, shown, expected, strict=True)
        if card.text != text
    ]
    manifest = json.loads((args.export / "manifest.json").read_text())
    figures |= medians(shown) | {
        "images": len(images),
        "same_captions": round(1 - len(differing) / len(images), 4),
        "megabytes": round(sum(entry["bytes"] for entry in manifest["files"].values()) / 1e6, 1),
        "quantise": manifest["quantise"],
    }
    for name, value in figures.items():
        print(f"{name:14} {value}")
    for name, ours, theirs in differing[:5]:
        print(f"{name}\n  browser: {ours}\n  python:  {theirs}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
