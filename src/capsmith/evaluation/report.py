"""The report of an evaluation: a page with scores, and images with their references and the model's captions.

The page needs no network access, no scripts and no files outside its folder, which contains small copies of the images.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from capsmith.evaluation.html import Card, clear_copies, small_copy, write_page


def write_report(
    directory: Path,
    *,
    title: str,
    scores: Sequence[Mapping[str, Any]],
    examples: Sequence[Mapping[str, Any]],
    score_name: str = "",
    most: int = 60,
    notes: Sequence[str] = (),
) -> Path:
    """Writes ``index.html`` and the images that it shows.

    The images are written first and the page last, all atomically. An interrupted report leaves the earlier page
    unchanged.

    Args:
        directory: The folder of the page; its subfolder ``images`` contains the images.
        title: The heading of the page.
        scores: One dictionary per metric with ``name``, ``value`` and optionally ``interval`` (low, high), ``control``
            (the score with shuffled images) and ``signature``.
        examples: One dictionary per image with ``image_id``, ``image_path``, ``prediction``, ``references`` and
            ``score``.
        score_name: The name of the score of the examples.
        most: The number of examples: half of them the best, half the worst.
        notes: The lines at the foot of the page.

    Returns:
        The path of the page.

    Raises:
        CapsmithError: The folder cannot be written.
    """
    best, worst = best_and_worst(examples, most)
    shown = [*best, *worst]
    images = directory / "images"
    files = {e["image_id"]: small_copy(e["image_path"], str(e["image_id"]), images) for e in shown}
    clear_copies(directory / "images", {name for name in files.values() if name})
    sections = [
        {"heading": heading, "kind": kind, "cards": [_card(e, files[e["image_id"]], score_name) for e in part]}
        for heading, kind, part in (("Best first", "best", best), ("Worst first", "worst", worst))
    ]
    return write_page(
        directory / "index.html",
        "report.html",
        title,
        scores=[{"interval": None, "control": None, "signature": "", **score} for score in scores],
        sections=sections,
        total=len(examples),
        score_name=score_name,
        notes=notes,
    )


def best_and_worst(
    examples: Sequence[Mapping[str, Any]], most: int
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Returns the best examples, best first, and the worst, worst first; no example is in both.

    Args:
        examples: Dictionaries with a ``score``; equal scores keep their order.
        most: The number of examples in total; the best have one more if it is odd.
    """
    ranked = sorted(examples, key=lambda example: -float(example["score"]))
    count = min(most, len(ranked))
    worst = ranked[len(ranked) - count // 2 :]
    return ranked[: count - count // 2], worst[::-1]


def _card(example: Mapping[str, Any], file: str | None, score_name: str) -> Card:
    caption = str(example["prediction"]) or "(no words)"
    return Card(
        file,
        alt=caption,
        name=str(example["image_id"]),
        caption=caption,
        by_model=True,
        lines=[str(text) for text in example["references"]],
        note=score_name,
        figure=f"{example['score']:.3f}",
    )
