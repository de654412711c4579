"""What is known about an image after it was described, and its form in JSON.

::

    {"image": "photo.jpg", "width": 640, "height": 426,
     "caption": {"text", "model", "score", "log_probability", "alternatives": [text, …], "unlike_training"},
     "objects": {"detector", "threshold", "found": [{"label", "score", "box": [left, top, right, bottom]}, …]},
     "grounding": {"words": [{"word", "start", "end", "object", "status", "objects": [number, …]}, …],
                   "unnamed": [number, …]},
     "similar": {"index", "images", "meaning": [{"id", "path", "semantic", "visual", "caption"}, …], "look": […]},
     "found": {"source", "query", "images", "meaning": [{"path", "title", "page", "credit", "semantic", "visual"}, …],
               "look": […]},
     "recommendations": {"library", "correction",
                         "captions": [{"rank", "caption", "similarity", "score", "theme", "description"}, …]},
     "omitted": {part: reason, …}, "failed": {part: reason, …}, "seconds": {part: seconds, …, "total": seconds}}

A part that is omitted or failed is null. Numbers of objects are places in ``objects.found``; ``start`` and ``end``
are places in ``caption.text``. A ``status`` is confirmed, unconfirmed or unknown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from capsmith.core.errors import escaped
from capsmith.deploy.recommend.recommender import Recommendation
from capsmith.metrics.grounding import Status
from capsmith.models.caption import Caption
from capsmith.vision.detection.detector import Detected

Part = Literal["caption", "objects", "grounding", "similar", "found", "recommendations"]
"""What an image is described by."""
PARTS: tuple[Part, ...] = get_args(Part)
_TITLES = {"similar": "similar images of the index", "found": "similar images of the source"}


def part_title(part: str) -> str:
    """Returns the name of a part for people."""
    return _TITLES.get(part, part)


@dataclass(frozen=True)
class GroundedWord:
    """A noun of the caption, and what the detector says about it.

    Attributes:
        word: The noun, one word or several, as it stands in the caption.
        start: Where it begins in the caption, in characters.
        end: Where it ends.
        object: The detector's class that it names, such as ``person`` for ``girl``; the noun itself if there is none.
        status: ``confirmed``: the detector found such an object; ``unconfirmed``: it did not; ``unknown``: the detector
            has no such class.
        objects: Numbers of the detected objects of this class.
    """

    word: str
    start: int
    end: int
    object: str
    status: Status
    objects: tuple[int, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Returns it as plain data."""
        return {**vars(self), "objects": list(self.objects)}


@dataclass(frozen=True)
class GroundedCaption:
    """How a caption and the detected objects agree.

    Attributes:
        words: The nouns, in the order of the caption; they do not overlap.
        unnamed: Numbers of the detected objects that the caption does not name.
    """

    words: tuple[GroundedWord, ...]
    unnamed: tuple[int, ...]


@dataclass(frozen=True)
class SimilarImage:
    """An image that is like the described one.

    Attributes:
        path: The file.
        semantic: Cosine in the joint space: how alike they are in meaning.
        visual: Cosine of the visual vectors: how alike they look.
        id: Its number in the index; None if it is from a source.
        name: Its name for people.
        caption: Its caption in the index, if it has one.
        page: The page that shows it; empty if there is none.
        credit: Who made it.
    """

    path: Path
    semantic: float
    visual: float
    id: int | None = None
    name: str = ""
    caption: str | None = None
    page: str = ""
    credit: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Returns it as plain data."""
        scores = {"semantic": round(self.semantic, 4), "visual": round(self.visual, 4)}
        path = escaped(str(self.path))
        if self.id is not None:
            return {"id": self.id, "path": path, "name": self.name, **scores, "caption": self.caption}
        return {"path": path, "title": self.name, "page": self.page, "credit": self.credit, **scores}


@dataclass(frozen=True)
class Similar:
    """The images that are most like the described one.

    Attributes:
        place: The index or the source.
        images: How many images were compared.
        meaning: The images most similar in meaning, best first.
        look: The images most similar in look, best first.
        query: The words that a source was asked, empty if it takes none; None for an index.
    """

    place: str
    images: int
    meaning: tuple[SimilarImage, ...]
    look: tuple[SimilarImage, ...]
    query: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Returns it as plain data."""
        place = {"index": self.place} if self.query is None else {"source": self.place, "query": self.query}
        lists = {name: [one.as_dict() for one in getattr(self, name)] for name in ("meaning", "look")}
        return {**place, "images": self.images, **lists}


@dataclass(frozen=True)
class Names:
    """What the parts are called in records and on pages.

    Attributes:
        captioner: The captioner.
        detector: The detector.
        index: The index.
        library: The library of captions.
    """

    captioner: str = "captioner"
    detector: str = "detector"
    index: str = "index"
    library: str = "library"


@dataclass(frozen=True)
class Description:
    """What is known about an image; a part that is None stands in ``omitted`` or ``failed``.

    Attributes:
        image: Its path or name.
        width: Width of the upright image in pixels.
        height: Its height.
        caption: Its caption.
        objects: The objects in it.
        threshold: The least confidence of these objects.
        grounding: The caption's words that objects confirm or not.
        similar: Similar images of the index.
        found: Similar images of a source.
        recommendations: Ready-made captions that fit, best first.
        correction: How the recommendations were corrected for popularity.
        names: What the parts are called.
        omitted: Parts that were not asked for, with the reason.
        failed: Parts that failed, with the reason in one line.
        seconds: Duration of each part, and ``total``.
    """

    image: str
    width: int
    height: int
    caption: Caption | None = None
    objects: Detected | None = None
    threshold: float | None = None
    grounding: GroundedCaption | None = None
    similar: Similar | None = None
    found: Similar | None = None
    recommendations: tuple[Recommendation, ...] | None = None
    correction: str = "none"
    names: Names = Names()
    omitted: Mapping[Part, str] = field(default_factory=dict)
    failed: Mapping[Part, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Returns it as plain data: the record of this module's documentation."""
        return {
            "image": escaped(self.image),
            "width": self.width,
            "height": self.height,
            "caption": self._caption(),
            "objects": self._objects(),
            "grounding": self._grounding(),
            "similar": None if self.similar is None else self.similar.as_dict(),
            "found": None if self.found is None else self.found.as_dict(),
            "recommendations": self._recommendations(),
            "omitted": dict(self.omitted),
            "failed": dict(self.failed),
            "seconds": {name: round(value, 4) for name, value in self.seconds.items()},
        }

    def _caption(self) -> dict[str, Any] | None:
        if (one := self.caption) is None:
            return None
        return {
            "text": one.text,
            "model": self.names.captioner,
            "score": float(one.score),
            "log_probability": float(one.log_probability),
            "alternatives": [other.text for other in one.alternatives],
            "unlike_training": None if one.domain is None else bool(one.domain.unlike_training),
        }

    def _objects(self) -> dict[str, Any] | None:
        if self.objects is None:
            return None
        found = [
            {"label": one.label, "score": round(one.score, 4), "box": [round(float(side), 1) for side in one.box]}
            for one in self.objects.objects
        ]
        return {"detector": self.names.detector, "threshold": self.threshold, "found": found}

    def _grounding(self) -> dict[str, Any] | None:
        if self.grounding is None:
            return None
        words = [word.as_dict() for word in self.grounding.words]
        return {"words": words, "unnamed": list(self.grounding.unnamed)}

    def _recommendations(self) -> dict[str, Any] | None:
        if self.recommendations is None:
            return None
        captions = [dict(vars(one)) for one in self.recommendations]
        return {"library": self.names.library, "correction": self.correction, "captions": captions}
