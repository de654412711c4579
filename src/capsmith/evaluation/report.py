"""The report of an evaluation: a page with scores, and images with their references and the model's captions.

The page needs no network access, no scripts and no files outside its folder, which contains small copies of the images.
"""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from capsmith.evaluation.html import clear_copies, footer, image, small_copy, write_page


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
    parts = [
        _table(scores),
        _section("Best first", "best", best, files, score_name, len(examples)),
        _section("Worst first", "worst", worst, files, score_name, len(examples)),
        footer(notes),
    ]
    return write_page(directory / "index.html", title, parts)


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


def _table(scores: Sequence[Mapping[str, Any]]) -> str:
    """Returns the table of scores, without empty columns."""
    interval = any(score.get("interval") for score in scores)
    control = any(score.get("control") is not None for score in scores)
    heads = [
        "metric",
        "score",
        *(["95 % interval"] if interval else []),
        *(["shuffled images"] if control else []),
    ]
    rows = []
    for score in scores:
        cells = [f'<td class="score">{score["value"]:.3f}</td>']
        if interval:
            low_high = score.get("interval")
            cells.append(f"<td>{low_high[0]:.3f} – {low_high[1]:.3f}</td>" if low_high else "<td></td>")
        if control:
            other = score.get("control")
            cells.append("<td></td>" if other is None else f"<td>{other:.3f}</td>")
        cells.append(f"<td><code>{escape(str(score.get('signature', '')))}</code></td>")
        rows.append(f'<tr><th scope="row">{escape(str(score["name"]))}</th>{"".join(cells)}</tr>')
    top = "".join(f'<th scope="col">{head}</th>' for head in [*heads, "signature"])
    note = (
        "<p>Shuffled images: the same captions, each scored against the references of another image.</p>"
        if control
        else ""
    )
    table = f"<table><thead><tr>{top}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<div class="wide">{table}</div>{note}'


def _section(
    heading: str,
    style: str,
    examples: Sequence[Mapping[str, Any]],
    files: Mapping[str, str | None],
    score_name: str,
    total: int,
) -> str:
    if not examples:
        return ""
    ranked = f", ranked by {escape(score_name)}" if score_name else ""
    cards = "\n".join(_card(example, files[example["image_id"]], score_name) for example in examples)
    counts = f"<p>{len(examples)} of {total:,} images{ranked}.</p>"
    return f'<h2>{heading}</h2>\n{counts}\n<div class="cards {style}">\n{cards}\n</div>'


def _card(example: Mapping[str, Any], file: str | None, score_name: str) -> str:
    image_id, caption = escape(str(example["image_id"])), escape(str(example["prediction"])) or "(no words)"
    figure = image(file, str(example["prediction"]) or "(no words)")
    references = "".join(f'<li dir="auto">{escape(str(text))}</li>' for text in example["references"])
    return (
        f'<figure>{figure}<figcaption><p class="caption model" dir="auto">{caption}</p><ul>{references}</ul>'
        f'<div class="id"><span title="{image_id}">{image_id}</span>'
        f"<span>{escape(score_name)} <b>{example['score']:.3f}</b></span></div></figcaption></figure>"
    )
