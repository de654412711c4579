"""What the store hands out: images with their captions, pages of them, counts, corrections."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from capsmith.deploy.folder.journal import Stamp
from capsmith.deploy.studio.project import StudioError

STATUSES = ("pending", "proposed", "accepted", "edited", "failed")
"""Pending: not captioned yet. Accepted and edited: a person decided. Failed: the file cannot be read."""
DECIDED = ("edited", "accepted")
"""Statuses of images about which a person decided."""
UNTOUCHED = ("pending", "proposed", "failed")
"""Statuses of images about which no person decided."""
FILTERS = {
    "all": (),
    "todo": ("pending", "proposed"),
    "edited": ("edited",),
    "accepted": ("accepted",),
    "failed": ("failed",),
}
"""Filters of a list, with the statuses that they show; none: all."""
SORTS = {
    "name": "place",
    "uncertain": "per_word IS NULL, per_word, place",
    "score": "log_probability DESC, place",
}
"""Orders of a list: by file name, uncertain captions first, likely captions first."""


@dataclass(frozen=True)
class StudioImage:
    """One image of a project.

    Attributes:
        id: Its number, which stays the same and is never reused.
        name: Its path relative to the folder, printable and without bytes that are not UTF-8.
        status: One of ``STATUSES``.
        caption: The current caption: the person's, or else the proposed one; empty if there is none.
        proposed: The model's caption.
        revision: Number of decisions about it: a change is based on the last one, or is a conflict.
        width: Width in pixels, upright; None if not known yet.
        height: Height in pixels.
        log_probability: Of the proposed caption.
        per_word: Mean log-probability of a word; uncertain captions have a low one.
        model: The model that proposed.
        error: Why it cannot be read.
        details: ``words`` and ``probabilities``, ``score`` and ``alternatives`` of the proposed caption.
        stamp: Size and time of the file that was captioned.
    """

    id: int
    name: str
    status: str
    caption: str
    proposed: str
    revision: int
    width: int | None = None
    height: int | None = None
    log_probability: float | None = None
    per_word: float | None = None
    model: str = ""
    error: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    stamp: Stamp | None = None


class Page(NamedTuple):
    """Some images of a list, and how many it has in all."""

    total: int
    images: list[StudioImage]


class Counts(NamedTuple):
    """Numbers of images; ``captioned`` counts those with a proposal or a caption."""

    total: int
    captioned: int
    failed: int
    edited: int
    accepted: int


class Correction(NamedTuple):
    """A caption that a person decided on; ``Store.captions`` returns proposed ones, too.

    Attributes:
        id: The image.
        name: Its path relative to ``Store.root``, as the file system has it.
        path: The file.
        caption: The caption.
        status: ``edited``, or ``accepted``: the proposed caption was right.
        proposed: What the model had proposed; empty if nothing.
        log_probability: Of what the model had proposed.
        stamp: Size and time of the file.
    """

    id: int
    name: str
    path: Path
    caption: str
    status: str
    proposed: str
    log_probability: float | None
    stamp: Stamp


class Todo(NamedTuple):
    """An image to caption."""

    id: int
    path: Path
    stamp: Stamp


class Proposal(NamedTuple):
    """A model's caption of an image, or why it has none.

    Attributes:
        id: The image.
        stamp: The file that was captioned: a proposal for a file that changed meanwhile is dropped.
        caption: The caption; empty with an ``error``.
        log_probability: Of the caption.
        per_word: Mean log-probability of a word.
        model: Fingerprint of the model and its settings.
        size: Width and height of the upright image.
        details: As ``StudioImage.details``.
        error: Why the image cannot be read.
    """

    id: int
    stamp: Stamp
    caption: str = ""
    log_probability: float | None = None
    per_word: float | None = None
    model: str = ""
    size: tuple[int, int] | None = None
    details: dict[str, Any] | None = None
    error: str = ""


class UnknownImage(StudioError):
    """There is no image with this number, or its file was removed."""


class Conflict(StudioError):
    """An image was changed since the revision on which an edit is based.

    Attributes:
        current: The image as it is.
    """

    def __init__(self, current: StudioImage) -> None:
        super().__init__(f"{current.name} was changed in another window: its caption is now {current.caption!r:.80}")
        self.current = current
