"""A page with the descriptions of images: one file, without scripts, that asks for nothing outside itself.

A word's boxes appear when the word is pointed at or focused. That is done by style rules, so no script is needed.
"""

import base64
import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from capsmith.core.errors import ImageError, escaped
from capsmith.core.files import atomic
from capsmith.core.pages.environment import environment
from capsmith.deploy.describe.record import Description, GroundedWord, Similar, SimilarImage, part_title
from capsmith.vision.detection.detector import Detected, Detection
from capsmith.vision.images import ImageSource
from capsmith.vision.thumbnails import thumbnail

MOST = 200
"""Images on a page: one has 200 to 500 kB."""
LARGE, SMALL = 1120, 240
"""The longer sides of the described image and of similar ones in pixels."""
_TAG = 18, 6  # room of a label in percent of the image's width and height
_THREADS = 4
_QUALITY = {LARGE: 84, SMALL: 76}


@dataclass(frozen=True)
class Picture:
    """A picture inside the page.

    Attributes:
        data: Its data URL.
        width: Its width in pixels.
        height: Its height.
    """

    data: str
    width: int
    height: int


@dataclass(frozen=True)
class Piece:
    """A part of the caption.

    Attributes:
        text: Its text.
        number: The number of the word that names an object; None for the text between them.
        word: That word.
    """

    text: str
    number: int | None = None
    word: GroundedWord | None = None


@dataclass(frozen=True)
class Box:
    """An object that can be drawn over the image.

    Attributes:
        number: Its number in the record.
        object: The object.
        left: Left edge in percent of the width; ``top``, ``width`` and ``height`` likewise.
        inside: Whether the label stands inside the box: there is no room above it.
        row: By how many lines the label is lower, so that it covers no other.
    """

    number: int
    object: Detection
    left: float
    top: float
    width: float
    height: float
    inside: bool
    row: int = 0


@dataclass(frozen=True)
class Card:
    """A similar image.

    Attributes:
        image: The image.
        picture: Its picture; None if it cannot be read any more.
        link: The address of its page, or its file relative to the page; empty if there is none.
    """

    image: SimilarImage
    picture: Picture | None
    link: str


@dataclass(frozen=True)
class Group:
    """Similar images.

    Attributes:
        heading: What they have in common.
        kind: ``semantic`` or ``visual``: the score by which they are ranked.
        cards: The images, best first.
    """

    heading: str
    kind: str
    cards: Sequence[Card]


@dataclass(frozen=True)
class View:
    """What the page shows of one image.

    Attributes:
        description: The record.
        name: The file's name.
        picture: The image; None if it cannot be read any more.
        pieces: The caption in pieces.
        boxes: The objects, the largest first, so that small ones lie above.
        places: Where similar images come from, with their groups.
    """

    description: Description
    name: str
    picture: Picture | None
    pieces: Sequence[Piece]
    boxes: Sequence[Box]
    places: Sequence[tuple[Similar, Sequence[Group]]]


def write_page(described: Sequence[tuple[ImageSource, Description]], path: str | Path) -> None:
    """Writes a page with all that is known about images.

    Args:
        described: Images with their descriptions, at most ``MOST``.
        path: The file.

    Raises:
        CapsmithError: The file cannot be written.
    """
    path = Path(path)
    text = page(described, path.parent)
    with atomic(path, "wb") as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def page(described: Sequence[tuple[ImageSource, Description]], folder: Path) -> str:
    """Returns the text of a page that will stand in a folder."""
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="page") as pool:
        views = list(pool.map(lambda pair: _view(pair[0], pair[1], folder), described))
    title = views[0].name if len(views) == 1 else f"{len(views)} images described"
    return (
        environment("capsmith.deploy.describe")
        .get_template("describe.html")
        .render(title=title, views=views, part_title=part_title)
    )


def _view(image: ImageSource, one: Description, folder: Path) -> View:
    places = []
    for similar in (one.similar, one.found):
        if similar is not None:
            images = {other.path: other for other in (*similar.meaning, *similar.look)}
            cards = {path: Card(other, _picture(path, SMALL), _link(other, folder)) for path, other in images.items()}
            groups = [
                Group("Similar in meaning", "semantic", [cards[other.path] for other in similar.meaning]),
                Group("Similar in look", "visual", [cards[other.path] for other in similar.look]),
            ]
            places.append((similar, groups))
    name = escaped(os.path.basename(one.image) or one.image)
    return View(one, name, _picture(image, LARGE), _pieces(one), _boxes(one.objects), places)


def _pieces(one: Description) -> list[Piece]:
    """Returns the caption, cut at the words that name objects."""
    if one.caption is None:
        return []
    text, at, pieces = one.caption.text, 0, []
    for number, word in enumerate(one.grounding.words if one.grounding is not None else ()):
        pieces += [Piece(text[at : word.start]), Piece(text[word.start : word.end], number, word)]
        at = word.end
    return [piece for piece in (*pieces, Piece(text[at:])) if piece.text]


def _boxes(detected: Detected | None) -> list[Box]:
    if detected is None or not detected.width or not detected.height:
        return []
    boxes: list[Box] = []
    for number, one in sorted(enumerate(detected.objects), key=lambda pair: -_area(pair[1])):
        left, top, right, bottom = one.box
        across, down = 100 / detected.width, 100 / detected.height
        place = left * across, top * down
        inside = place[1] < _TAG[1]
        near = [other for other in boxes if other.inside == inside and abs(other.left - place[0]) < _TAG[0]]
        near = [other for other in near if abs(other.top - place[1]) < _TAG[1]]
        row = max((other.row + (1 if other.top <= place[1] else 2) for other in near), default=0)
        size = (right - left) * across, (bottom - top) * down
        boxes.append(Box(number, one, *place, *size, inside, row))
    return boxes


def _area(found: Detection) -> float:
    left, top, right, bottom = found.box
    return (right - left) * (bottom - top)


def _link(image: SimilarImage, folder: Path) -> str:
    """Returns the address of an image's page, if it is one of the web; of an image of an index its file."""
    if image.id is None:
        return image.page if _is_web(image.page) else ""
    relative = os.path.relpath(os.path.abspath(image.path), os.path.abspath(folder))
    return quote(os.fsencode(relative.replace(os.sep, "/")))


def _is_web(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def _picture(source: ImageSource, side: int) -> Picture | None:
    try:
        image = thumbnail(source, side)
    except ImageError:  # it was changed or removed since
        return None
    data = io.BytesIO()
    image.save(data, "JPEG", quality=_QUALITY[side], optimize=True)
    return Picture(f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}", image.width, image.height)
