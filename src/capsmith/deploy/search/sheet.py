"""The images that a search found, as one picture."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from capsmith.core.errors import ImageError
from capsmith.deploy.search.hits import Hit
from capsmith.deploy.search.image_index import ImageIndex
from capsmith.evaluation.plots import Head, contact_sheet
from capsmith.vision.images import ImageSource
from capsmith.vision.thumbnails import thumbnail

CELL, COLUMNS = 280, 3
"""Width of an image in pixels; images in a row."""
_GONE = (205, 208, 214)


def draw_hits(query: str, image: ImageSource | None, hits: Sequence[Hit], index: ImageIndex, out: Path) -> None:
    """Draws the images with their scores and names, and the query on top.

    Args:
        query: The query in words.
        image: The image of the query, if it has one.
        hits: The images, best first.
        index: Their index.
        out: The file to write; its suffix selects the format.

    Raises:
        CapsmithError: The file cannot be written.
    """
    items = [(_picture(index.path(hit.id)), _scores(hit), _below(hit)) for hit in hits]
    contact_sheet(items, out, CELL, COLUMNS, Head(query, image), "hits")


def _picture(path: Path) -> Image.Image:
    try:
        return thumbnail(path, CELL, enlarge=True)
    except ImageError:  # removed since it was indexed
        return Image.new("RGB", (CELL, CELL * 3 // 4), _GONE)


def _scores(hit: Hit) -> str:
    return " · ".join(f"{name} {value:.3f}" for name, value in hit.scores().items())


def _below(hit: Hit) -> str:
    more = f" (+{len(hit.duplicates)} duplicates)" if hit.duplicates else ""
    return f"{hit.path}{more}" + (f": {hit.caption}" if hit.caption else "")
