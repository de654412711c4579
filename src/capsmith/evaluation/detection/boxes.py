"""Draws detections into images: boxes in the colours of their classes, with labels that can be read."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw

from capsmith.evaluation.detection.colours import class_colour, text_colour
from capsmith.evaluation.detection.label_places import Rectangle, place_labels
from capsmith.evaluation.fonts import Font, font_for
from capsmith.evaluation.plots import contact_sheet, save_image
from capsmith.vision.detection.detector import Detected, Detection
from capsmith.vision.images import ImageSource
from capsmith.vision.thumbnails import thumbnail

KIND = "detections"
"""What ``image_marks`` knows these images as."""
_SMALLEST, _LARGEST = 640, 2048  # the longer side of a drawn image in pixels
_CELL, _SMALL_CELL = 640, 420  # the longer side of an image on a sheet of few and of many
_EDGE = (20, 22, 26, 150)  # the thin dark line around a box, which sets it off from any background
_TINT = 20  # the opacity of a box, of 255


class DrawnImage(NamedTuple):
    """An image and what was found in it.

    Attributes:
        source: The image, as ``load_image`` takes it.
        detected: What was found.
        name: Its name on a sheet.
    """

    source: ImageSource
    detected: Detected
    name: str = ""


def draw_boxes(source: ImageSource, detected: Detected, side: int | None = None) -> Image.Image:
    """Returns an image with its boxes and labels.

    Lines and letters follow the size of the image. Small objects are drawn above large ones, and labels stand above
    all boxes: inside the image, and apart from each other where there is room.

    Args:
        source: The image.
        detected: What was found in it.
        side: The longer side of the result in pixels; by default that of the image, within 640 and 2,048.

    Raises:
        ImageError: The image cannot be read.
    """
    longer = max(detected.width, detected.height, 1)
    image = thumbnail(source, side or min(max(longer, _SMALLEST), _LARGEST), enlarge=True)
    scale = image.width / max(detected.width, 1), image.height / max(detected.height, 1)
    unit = max(1.0, (image.width * image.height) ** 0.5 / 300)
    line = max(2, round(unit))
    order = sorted(detected.objects, key=lambda one: -_area(one.box))
    boxes = [_scaled(one.box, scale, image.size, line) for one in order]
    colours = [class_colour(one.label) for one in order]
    drawn = image.convert("RGBA")
    for box, colour in zip(boxes, colours, strict=True):
        drawn.alpha_composite(Image.new("RGBA", (box[2] - box[0], box[3] - box[1]), (*colour, _TINT)), box[:2])
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    for box, colour in zip(boxes, colours, strict=True):
        _draw_box(draw, box, colour, line, round(unit * 3))
    _draw_labels(draw, image.size, order, boxes, max(13, round(unit * 7.5)), line)
    return Image.alpha_composite(drawn, layer).convert("RGB")


def save_boxes(images: Sequence[DrawnImage], path: Path) -> None:
    """Writes one drawn image, or several as a sheet with their names and what was found.

    Args:
        images: The images.
        path: The file; its suffix selects the format (PNG, JPEG, …).

    Raises:
        ImageError: An image cannot be read.
        CapsmithError: The file cannot be written.
    """
    if len(images) == 1:
        save_image(draw_boxes(images[0].source, images[0].detected), path, KIND)
        return
    columns, cell = (3, _CELL) if len(images) <= 12 else (4, _SMALL_CELL)
    drawn = [(draw_boxes(one.source, one.detected, cell), summary(one.detected), one.name) for one in images]
    contact_sheet(drawn, path, cell, columns, kind=KIND)


def summary(detected: Detected) -> str:
    """Returns what was found as a text: ``person (2), dog``; the classes of the most confident objects first."""
    counts: dict[str, int] = {}
    for one in detected.objects:
        counts[one.label] = counts.get(one.label, 0) + 1
    return ", ".join(label if count == 1 else f"{label} ({count})" for label, count in counts.items()) or "nothing"


def _draw_box(draw: ImageDraw.ImageDraw, box: Rectangle, colour: tuple[int, int, int], line: int, radius: int) -> None:
    left, top, right, bottom = box
    radius = int(min(radius, (right - left) / 3, (bottom - top) / 3))
    draw.rounded_rectangle((left - 1, top - 1, right + 1, bottom + 1), radius + 1, outline=_EDGE, width=line + 2)
    draw.rounded_rectangle(box, radius, outline=(*colour, 255), width=line)


def _draw_labels(
    draw: ImageDraw.ImageDraw,
    size: tuple[int, int],
    objects: Sequence[Detection],
    boxes: Sequence[Rectangle],
    height: int,
    line: int,
) -> None:
    texts = [f"{one.label} {one.score:.2f}" for one in objects]
    fonts = [_fitting(text, height, size[0]) for text in texts]
    pad = max(3, round(height * 0.3))
    sizes = [
        (int(font.getlength(text)) + 2 * pad, round(height * 1.25) + pad)
        for text, font in zip(texts, fonts, strict=True)
    ]
    priority = sorted(range(len(objects)), key=lambda number: -objects[number].score)
    places = place_labels(boxes, sizes, size, priority, line)
    for number in reversed(priority):  # the most confident is never covered
        fill = class_colour(objects[number].label)
        place = places[number]
        draw.rounded_rectangle(place, max(2, height // 5), fill=(*fill, 255), outline=_EDGE, width=1)
        middle = (place[1] + place[3]) / 2
        draw.text((place[0] + pad, middle), texts[number], fill=text_colour(fill), font=fonts[number], anchor="lm")


def _fitting(text: str, height: int, width: int) -> Font:
    """Returns a font of this height, or of the largest one in which the text is no wider than the image."""
    font = font_for(text, height)
    while height > 8 and font.getlength(text) > width * 0.9:
        height -= 1
        font = font_for(text, height)
    return font


def _scaled(
    box: tuple[float, float, float, float], scale: tuple[float, float], size: tuple[int, int], line: int
) -> Rectangle:
    """Returns a box in pixels of the drawn image, whole lines inside it."""
    left, right = (min(max(value * scale[0], 1), size[0] - 2) for value in box[::2])
    top, bottom = (min(max(value * scale[1], 1), size[1] - 2) for value in box[1::2])
    least = 2 * line + 2  # a smaller box would be a blot
    if right - left < least:
        left = min(max((left + right - least) / 2, 1), size[0] - 2 - least)
        right = left + least
    if bottom - top < least:
        top = min(max((top + bottom - least) / 2, 1), size[1] - 2 - least)
        bottom = top + least
    return round(left), round(top), round(right), round(bottom)


def _area(box: tuple[float, float, float, float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
