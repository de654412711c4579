"""Image files drawn with Pillow: the training history, and images with their captions."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw

from capsmith.core.errors import CapsmithError
from capsmith.core.files import atomic
from capsmith.evaluation.fonts import font_for, wrap
from capsmith.evaluation.line_chart import COLOURS, GREY, INK, Canvas, Line, Panel
from capsmith.vision.image_marks import marked
from capsmith.vision.images import ImageSource
from capsmith.vision.thumbnails import thumbnail

_GAP = 18
_PAPER = (240, 242, 246)


def plot_history(rows: Sequence[dict[str, float]], path: Path, best_by: str | None = None) -> None:
    """Draws the training history as a PNG: the loss on the left, the dev scores on the right.

    CIDEr has a separate axis on the right side because it is not a fraction.

    Args:
        rows: One dictionary per epoch with ``epoch``, ``loss`` and ``dev_…`` scores; other keys are ignored.
        path: The file to write.
        best_by: The dev score whose best epoch is marked, such as ``cider``; by default CIDEr, otherwise BLEU-4.

    Raises:
        CapsmithError: The file cannot be written.
    """
    names = list(dict.fromkeys(key for row in rows for key in row if key.startswith("dev_")))
    lines = [
        Line(name.removeprefix("dev_"), _points(rows, name), COLOURS[index % len(COLOURS)])
        for index, name in enumerate(names)
    ]
    cider = [line for line in lines if line.name.startswith("cider")]
    others = [line for line in lines if line not in cider]
    best = best_point(lines, best_by)
    canvas = Canvas(1360, 524)
    epochs = (min((row["epoch"] for row in rows), default=1), max((row["epoch"] for row in rows), default=1))
    left = Panel(canvas, (70, 56, 610, 430), epochs)
    left.draw("train loss", [Line("loss", _points(rows, "loss"), COLOURS[0])], [])
    right = Panel(canvas, (740, 56, 1290, 430), epochs)
    right.draw("dev scores", others or cider, cider if others else [])
    if best is not None:
        right.mark(*best)
    right.legend(lines)
    save_image(canvas.finished(), path, "history")


def _points(rows: Sequence[dict[str, float]], name: str) -> list[tuple[float, float]]:
    return [(row["epoch"], row[name]) for row in rows if name in row and math.isfinite(row[name])]


def best_point(lines: list[Line], best_by: str | None) -> tuple[Line, tuple[float, float]] | None:
    """Returns the line of the selecting score and its highest point, the first if several are equal."""
    for name in [best_by] if best_by else ["cider", "bleu4", *(line.name for line in lines)]:
        for line in lines:
            if line.name == name and line.points:
                return line, max(line.points, key=lambda point: point[1])
    return None


class Head(NamedTuple):
    """The head of a sheet.

    Attributes:
        title: A line of text.
        image: An image beside it; None: none.
    """

    title: str
    image: ImageSource | None = None


def contact_sheet(
    items: Sequence[tuple[ImageSource, str, str]],
    path: Path,
    cell: int = 320,
    columns: int = 4,
    head: Head | None = None,
    kind: str = "captions",
) -> None:
    """Draws images with captions below them.

    Args:
        items: For each image its source, as ``load_image`` takes it, its caption, and a second line in smaller type.
        path: The file to write; its suffix selects the format (PNG, JPEG, …).
        cell: The width of an image in pixels.
        columns: Most images in a row.
        head: Stands above all images.
        kind: What the sheet shows, as ``image_marks.is_marked`` takes it.

    Raises:
        ImageError: An image cannot be read.
        CapsmithError: The file cannot be written, or its suffix is not an image format.
    """
    columns = min(columns, max(1, math.ceil(math.sqrt(len(items)))))
    cards = [_card(thumbnail(image, cell, enlarge=True), caption, sub, cell) for image, caption, sub in items]
    rows = [cards[first : first + columns] for first in range(0, len(cards), columns)]
    top = None if head is None else _head(head, columns * (cell + _GAP) - _GAP, cell)
    save_image(_laid_out(rows, cell, top), path, kind)


def _laid_out(rows: list[list[Image.Image]], cell: int, top: Image.Image | None = None) -> Image.Image:
    """Arranges cards of equal width in rows."""
    columns = max(map(len, rows), default=0)
    heights = [max(card.height for card in row) for row in rows]
    y = _GAP if top is None else top.height + 2 * _GAP
    width, height = columns * (cell + _GAP) + _GAP, y + sum(heights) + len(rows) * _GAP
    sheet = Image.new("RGB", (width, max(height, 1)), _PAPER)
    if top is not None:
        sheet.paste(top, (_GAP, _GAP))
    for row, tall in zip(rows, heights, strict=True):
        for column, card in enumerate(row):
            sheet.paste(card, (_GAP + column * (cell + _GAP), y))
        y += tall + _GAP
    return sheet


def _head(head: Head, width: int, cell: int) -> Image.Image:
    """Returns the title, to the right of its image if it has one."""
    image = None if head.image is None else thumbnail(head.image, cell // 2)
    left = 0 if image is None else image.width + _GAP
    font = font_for(head.title, 26)
    lines = wrap(head.title, font, width - left)[:4]
    height = 36 * len(lines)
    top = Image.new("RGB", (width, max(height, image.height if image else 1)), _PAPER)
    if image is not None:
        top.paste(image, (0, 0))
    draw = ImageDraw.Draw(top)
    for number, line in enumerate(lines):
        draw.text((left, (top.height - height) // 2 + 36 * number), line, fill=INK, font=font)
    return top


def _card(image: Image.Image, caption: str, sub: str, cell: int) -> Image.Image:
    """Returns an image with its two texts below it."""
    font, small = font_for(caption, 19), font_for(sub, 13)
    lines = [(line, font, INK, 26) for line in wrap(caption, font, cell - 24)]
    lines += [(line, small, GREY, 18) for line in wrap(sub, small, cell - 24)]
    card = Image.new("RGB", (cell, image.height + 20 + sum(line[3] for line in lines)), "white")
    card.paste(image, ((cell - image.width) // 2, 0))
    draw = ImageDraw.Draw(card)
    y = image.height + 10
    for text, letters, colour, step in lines:
        draw.text((12, y), text, fill=colour, font=letters)
        y += step
    return card


def save_image(image: Image.Image, path: Path, what: str) -> None:
    """Writes an image atomically, in the format of the suffix.

    Args:
        image: The image.
        path: The file.
        what: The kind of image, as ``image_marks.is_marked`` takes it.

    Raises:
        CapsmithError: The file cannot be written, or its suffix is not an image format.
    """
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind not in Image.SAVE:
        raise CapsmithError(f"cannot write {path}: the suffix is not an image format (try .png)")
    with atomic(path, "wb") as file:
        image.save(file, kind, **marked(what))
