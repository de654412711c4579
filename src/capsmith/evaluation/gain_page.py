"""The page of a retraining: scores before and after, and held-out images with both captions and the correction."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from capsmith.evaluation.html import Card, clear_copies, small_copy, write_page

_MOST = 60  # images on the page


def write_gain_page(
    directory: Path,
    *,
    rows: Sequence[Mapping[str, Any]],
    examples: Sequence[Mapping[str, Any]],
    notes: Sequence[str] = (),
) -> Path:
    """Writes ``index.html`` and the images that it shows, the page last.

    Args:
        directory: The folder of the page.
        rows: One dictionary per domain and metric with ``domain``, ``images``, ``metric``, ``before`` and ``after``.
        examples: One per image with ``image_id``, ``image_path``, ``before``, ``after`` and ``correct``.
        notes: The lines at the foot of the page.

    Returns:
        The path of the page.

    Raises:
        CapsmithError: The folder cannot be written.
    """
    shown = examples[:_MOST]
    images = directory / "images"
    files = {e["image_id"]: small_copy(e["image_path"], str(e["image_id"]), images) for e in shown}
    clear_copies(images, {name for name in files.values() if name})
    cards = [_card(example, files[example["image_id"]]) for example in shown]
    page = directory / "index.html"
    return write_page(page, "gain.html", "Before and after the corrections", rows=rows, cards=cards, notes=notes)


def _card(example: Mapping[str, Any], file: str | None) -> Card:
    after = str(example["after"]) or "(no words)"
    lines = [f"before: {example['before'] or '(no words)'}", f"yours: {example['correct']}"]
    return Card(file, alt=after, name=str(example["image_id"]), caption=after, by_model=True, lines=lines)
