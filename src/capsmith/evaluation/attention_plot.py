"""Draws the attention of a decoder: one heat map over the image per word, with a scale.

The image is drawn in medium grey, so the colours of the map look alike on bright and on dark images. All words of an
image share one scale, in multiples of the uniform weight: 1 is the weight of a region when all weights are equal.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from capsmith.evaluation.fonts import font_for, wrap
from capsmith.evaluation.line_chart import COLOURS, GREY, INK, RULE
from capsmith.evaluation.plots import save_image
from capsmith.vision.images import ImageSource
from capsmith.vision.thumbnails import thumbnail

Item = tuple[ImageSource, Sequence[str], np.ndarray, Sequence[float]]

_PAPER = (240, 242, 246)
_GAP, _PADDING = 16, 18
_COLUMNS = 6  # words per row
_BAR = 14  # the height of the scale
_DARKEST, _BRIGHTEST = 40, 165  # of the grey image
_LEAST_TOP = 2.0  # the scale never ends below twice the uniform weight, so almost uniform maps stay pale
_GAMMA = 0.7  # below 1: makes weak differences visible next to strong ones; the scale has the same curve
_COLOURS = np.array([(66, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 245, 150)], np.float64)
"""From weak to strong: the upper part of matplotlib's "inferno", whose brightness increases evenly."""


def attention_sheet(items: Sequence[Item], path: Path, cell: int = 200) -> None:
    """Draws each image with its caption, a scale, and one heat map per word.

    Below each map are the word, its probability, and the weight of the strongest region in multiples of the uniform
    weight. That region is outlined.

    Args:
        items: For each image its source, as ``load_image`` takes it, the words of its caption, the weights of the
            regions for each word (words, rows, columns), and the probability of each word.
        path: The file to write; its suffix selects the format (PNG, JPEG, …).
        cell: The width of a map in pixels.

    Raises:
        ImageError: An image cannot be read.
        CapsmithError: The file cannot be written, or its suffix is not an image format.
    """
    panels = [_panel(item, cell) for item in items]
    width = max((panel.width for panel in panels), default=0) + 2 * _GAP
    height = sum(panel.height + _GAP for panel in panels) + _GAP
    sheet = Image.new("RGB", (width, height), _PAPER)
    y = _GAP
    for panel in panels:
        sheet.paste(panel, (_GAP, y))
        y += panel.height + _GAP
    save_image(sheet, path, "attention")


def heat_map(image: Image.Image, weights: np.ndarray, top: float) -> Image.Image:
    """Returns a grey image with the colours of its map over it and the strongest region outlined.

    Args:
        image: The image that the regions divide.
        weights: (rows, columns), summing to 1.
        top: The end of the scale, in multiples of the uniform weight.
    """
    shares = Image.fromarray((weights * weights.size).astype(np.float32))
    smooth = np.asarray(shares.resize(image.size, Image.Resampling.BICUBIC))
    colours, opacity = _coloured(smooth, top)
    grey = _grey(image)[..., None]
    mixed = grey + (colours - grey) * opacity[..., None]
    drawn = Image.fromarray(mixed.round().astype(np.uint8))
    _outline(drawn, weights)
    return drawn


def scale_top(maps: np.ndarray) -> float:
    """Returns the end of the scale for maps (words, rows, columns), in multiples of the uniform weight."""
    strongest = float(maps.max()) * maps[0].size if len(maps) else 0.0
    return max(_LEAST_TOP, math.ceil(strongest * 2) / 2)


def _coloured(shares: np.ndarray, top: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns the colours (…, 3) and the opacity (…) of weights (…); the uniform weight or less is transparent."""
    place = np.clip((shares - 1) / (top - 1), 0, 1) ** _GAMMA
    steps = np.linspace(0, 1, len(_COLOURS))
    colours = np.stack([np.interp(place, steps, _COLOURS[:, channel]) for channel in range(3)], axis=-1)
    return colours, np.clip(place * 3, 0, 1) * 0.82


def _grey(image: Image.Image) -> np.ndarray:
    """Returns the brightness (H, W) of an image, scaled to a medium range."""
    grey = np.asarray(image.convert("L"), np.float64)
    low, high = np.percentile(grey, (1, 99))
    share = np.clip((grey - low) / max(high - low, 1), 0, 1)
    return _DARKEST + (_BRIGHTEST - _DARKEST) * share


def _outline(image: Image.Image, weights: np.ndarray) -> None:
    """Outlines the region with the highest weight in white between dark lines, visible on any background."""
    rows, columns = weights.shape
    row, column = divmod(int(weights.argmax()), columns)
    left, right = (round(edge * image.width / columns) for edge in (column, column + 1))
    upper, lower = (round(edge * image.height / rows) for edge in (row, row + 1))
    box = (max(left, 2), max(upper, 2), min(right, image.width - 2) - 1, min(lower, image.height - 2) - 1)
    draw = ImageDraw.Draw(image)
    for grown, colour in ((2, INK), (-1, INK), (1, "white"), (0, "white")):
        edges = (box[0] - grown, box[1] - grown, box[2] + grown, box[3] + grown)
        if edges[2] > edges[0] and edges[3] > edges[1]:
            draw.rectangle(edges, outline=colour)


def _panel(item: Item, cell: int) -> Image.Image:
    """Returns the panel of one image: image, caption and scale on the left, maps on the right."""
    source, words, maps, probabilities = item
    original = thumbnail(source, cell, enlarge=True)
    top = scale_top(maps)
    each = zip(words, maps, probabilities, strict=True)
    tiles = [_tile(heat_map(original, weights, top), word, weights, chance, cell) for word, weights, chance in each]
    first = _first(original, " ".join(words), top, maps, cell)
    rows = [tiles[start : start + _COLUMNS] for start in range(0, len(tiles), _COLUMNS)]
    heights = [max(tile.height for tile in row) for row in rows]
    height = max(first.height, sum(heights) + _GAP * max(len(rows) - 1, 0)) + 2 * _PADDING
    panel = Image.new("RGB", ((_COLUMNS + 1) * (cell + _GAP) - _GAP + 2 * _PADDING, height), "white")
    panel.paste(first, (_PADDING, _PADDING))
    y = _PADDING
    for row, tall in zip(rows, heights, strict=True):
        for column, tile in enumerate(row, start=1):
            panel.paste(tile, (_PADDING + column * (cell + _GAP), y))
        y += tall + _GAP
    return panel


def _tile(image: Image.Image, word: str, weights: np.ndarray, probability: float, cell: int) -> Image.Image:
    """Returns a map with its word, the probability of the word, and the weight of the strongest region below it."""
    font, small = font_for(word, 18), font_for("", 12)
    lines = wrap(word, font, cell - 62) or [""]
    tile = Image.new("RGB", (cell, image.height + 14 + 23 * len(lines) + 24), "white")
    tile.paste(image, ((cell - image.width) // 2, 0))
    draw = ImageDraw.Draw(tile)
    y = image.height + 6
    draw.text((cell, y + 6), f"p {probability:.2f}", fill=GREY, font=font_for("", 14), anchor="ra")
    for line in lines:
        draw.text((0, y), line, fill=INK, font=font)
        y += 23
    y += 4
    draw.rectangle((0, y, cell - 1, y + 3), fill=RULE)
    draw.rectangle((0, y, max(round(probability * cell) - 1, 0), y + 3), fill=COLOURS[0])
    strongest = float(weights.max()) * weights.size
    draw.text((0, y + 8), f"strongest region {strongest:.1f}x", fill=GREY, font=small)
    return tile


def _first(original: Image.Image, caption: str, top: float, maps: np.ndarray, cell: int) -> Image.Image:
    """Returns the unchanged image, its caption, and the scale of its maps."""
    font, small = font_for(caption, 18), font_for("", 12)
    lines = wrap(caption, font, cell)
    regions = maps.shape[1] * maps.shape[2]
    legend = wrap(
        f"1x: an even share of the attention (1/{regions}). p: the word's probability. Outlined: the strongest region.",
        small,
        cell,
    )
    column = Image.new("RGB", (cell, original.height + 8 + 24 * len(lines) + 50 + 16 * len(legend)), "white")
    column.paste(original, ((cell - original.width) // 2, 0))
    draw = ImageDraw.Draw(column)
    y = original.height + 6
    for line in lines:
        draw.text((0, y), line, fill=INK, font=font)
        y += 24
    y += 10
    column.paste(_scale(cell, top), (0, y))
    draw.rectangle((0, y, cell - 1, y + _BAR), outline=GREY)
    middle = (1 + top) / 2
    for share, anchor in ((1.0, "la"), (middle, "ma"), (top, "ra")):
        x = round((share - 1) / (top - 1) * (cell - 1))
        draw.line((x, y + _BAR, x, y + _BAR + 3), fill=GREY)
        draw.text((x, y + _BAR + 5), f"{share:g}x", fill=GREY, font=small, anchor=anchor)
    y += _BAR + 22
    for line in legend:
        draw.text((0, y), line, fill=GREY, font=small)
        y += 16
    return column


def _scale(width: int, top: float) -> Image.Image:
    """Returns the colours from the uniform weight to the top, over the grey of the maps."""
    colours, opacity = _coloured(np.linspace(1, top, width)[None], top)
    grey = np.full((1, width, 1), (_DARKEST + _BRIGHTEST) / 2)
    line = grey + (colours - grey) * opacity[..., None]
    return Image.fromarray(np.repeat(line.round().astype(np.uint8), _BAR, axis=0))
