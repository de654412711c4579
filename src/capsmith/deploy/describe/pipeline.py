"""Describes images by the parts that there are. Those that do not need each other run at the same time.

caption ─┬─ grounding ─┐
objects ─┘             ├─ found
vectors ─── similar, recommendations
"""

import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from capsmith.core.errors import ConfigError, ImageError, escaped, one_line
from capsmith.core.log import get_logger
from capsmith.deploy.describe.grounding import Ground, ground, query_of
from capsmith.deploy.describe.parts import CaptionPart, EmbedPart, IndexPart, RecommendPart, Source, Vectors
from capsmith.deploy.describe.ranking import SourceRanking, similar_in_index
from capsmith.deploy.describe.record import PARTS, Description, GroundedCaption, Names, Part, Similar
from capsmith.deploy.recommend.recommender import Recommendation
from capsmith.models.caption import Caption
from capsmith.vision.detection.detector import Detected, Detector
from capsmith.vision.image_files import open_image, upright_size
from capsmith.vision.images import ImageSource, image_name, load_image

TOP = 6
"""Similar images of each kind, and recommended captions, unless another number is asked for."""
MAX_TOP = 100
_MISSING: dict[Part, str] = {
    "caption": "no captioner is given",
    "objects": "no detector is given",
    "grounding": "it needs a caption and objects",
    "similar": "no index of images is given",
    "found": "no source of images is given",
    "recommendations": "no joint embedding is given",
}
_log = get_logger(__name__)
_T = TypeVar("_T")


class Describer:
    """Describes images. Its parts are given, and each of them may be missing.

    ``describe`` may be called by several threads if the parts may.

    Args:
        captioner: Writes the caption.
        detector: Finds the objects.
        vectors: Computes the vectors of images; ``index``, ``recommender`` and ``source`` need it.
        index: Finds similar images.
        recommender: Recommends captions.
        source: Finds images by the words of a query, which are then ranked like those of the index.
        names: What the parts are called in records.
        ground: Compares captions and objects.

    Raises:
        ConfigError: A part needs ``vectors``, which is missing.
    """

    def __init__(
        self,
        captioner: CaptionPart | None = None,
        detector: Detector | None = None,
        vectors: EmbedPart | None = None,
        index: IndexPart | None = None,
        recommender: RecommendPart | None = None,
        source: Source | None = None,
        names: Names | None = None,
        ground: Ground = ground,
    ) -> None:
        for part, name in ((index, "an index"), (recommender, "a recommender"), (source, "a source")):
            if part is not None and vectors is None:
                raise ConfigError(f"{name} needs the vectors of images: name a joint embedding")
        self.captioner, self.detector, self.vectors = captioner, detector, vectors
        self.index, self.recommender = index, recommender
        self.source = None if source is None or vectors is None else SourceRanking(source, vectors)
        self.names = names or Names()
        self._ground = ground

    def missing(self) -> dict[Part, str]:
        """Returns the parts that it does not have, each with the reason."""
        have: dict[Part, object] = {
            "caption": self.captioner,
            "objects": self.detector,
            "grounding": None if self.captioner is None else self.detector,
            "similar": self.index,
            "found": self.source,
            "recommendations": self.recommender,
        }
        return {part: _MISSING[part] for part in PARTS if have[part] is None}

    def describe(
        self,
        image: ImageSource,
        name: str | None = None,
        top: int = TOP,
        threshold: float | None = None,
        query: str | None = None,
        parts: Collection[Part] = PARTS,
    ) -> Description:
        """Describes an image. A part that fails does not lose the others.

        Args:
            image: A path, bytes, a PIL image or an array (H, W, 3).
            name: Its name in the record; by default its path.
            top: Similar images of each kind, and recommended captions, at most; 1 to ``MAX_TOP``.
            threshold: Least confidence of objects; by default the detector's.
            query: What the source is asked; by default the nouns of the caption that were confirmed.
            parts: The parts to compute, of those that there are.

        Raises:
            ImageError: The image cannot be read.
            ConfigError: ``top`` is out of range.
        """
        if not 1 <= top <= MAX_TOP:
            raise ConfigError(f"top {top}: a number from 1 to {MAX_TOP}")
        name = image_name(image) if name is None else name
        work = _Work({**{part: "it was not asked for" for part in PARTS if part not in parts}, **self.missing()})
        begin = time.perf_counter()
        width, height = _size(image, name)
        if isinstance(image, Image.Image):  # Pillow decodes it when it is first used, and must not in several threads
            image = load_image(image, (height, width))
        results = self._results(work, image, top, threshold, query)
        if work.failed:
            load_image(image, (16, 16))  # an image that cannot be decoded is the reason, not the parts
        work.seconds["total"] = time.perf_counter() - begin
        return Description(
            name,
            width,
            height,
            **results,
            threshold=None if self.detector is None else self.detector.threshold if threshold is None else threshold,
            correction=str(getattr(self.recommender, "correction", "none")),
            names=self.names,
            omitted=work.omitted,
            failed=work.failed,
            seconds=work.seconds,
        )

    def _results(
        self, work: "_Work", image: ImageSource, top: int, threshold: float | None, query: str | None
    ) -> dict[str, Any]:
        """Returns the result of each part; None if it is omitted or failed."""
        with ThreadPoolExecutor(3, thread_name_prefix="describe") as pool:
            captioning = pool.submit(self._caption, work, image)
            detecting = pool.submit(self._objects, work, image, threshold)
            comparing = pool.submit(self._compared, work, image, top)
            caption, objects = captioning.result(), detecting.result()
            grounding = self._grounding(work, caption, objects)
            vectors, similar, recommendations = comparing.result()
        return {
            "caption": caption,
            "objects": objects,
            "grounding": grounding,
            "similar": similar,
            "found": self._found(work, query, caption, grounding, vectors, top, image),
            "recommendations": recommendations,
        }

    def _caption(self, work: "_Work", image: ImageSource) -> Caption | None:
        captioner = self.captioner
        return None if captioner is None else work.run("caption", lambda: captioner.caption(image))

    def _objects(self, work: "_Work", image: ImageSource, threshold: float | None) -> Detected | None:
        detector = self.detector
        return None if detector is None else work.run("objects", lambda: detector.detect(image, threshold))

    def _grounding(self, work: "_Work", caption: Caption | None, objects: Detected | None) -> GroundedCaption | None:
        if caption is None or objects is None:
            work.omitted.setdefault("grounding", _MISSING["grounding"])
            return None
        labels = () if self.detector is None else self.detector.labels
        return work.run("grounding", lambda: self._ground(caption.text, objects.objects, labels))

    def _compared(
        self, work: "_Work", image: ImageSource, top: int
    ) -> tuple[Vectors | None, Similar | None, tuple[Recommendation, ...] | None]:
        """Returns the vectors of an image, the similar images of the index, and the recommended captions."""
        embedding, index, recommender = self.vectors, self.index, self.recommender
        wanted: list[Part] = [part for part in ("similar", "recommendations", "found") if work.wants(part)]
        if embedding is None or not wanted:
            return None, None, None
        vectors = work.run(wanted[0], lambda: embedding.vectors(image), "vectors")
        if vectors is None:  # all of them need it
            work.failed.update({part: work.failed[wanted[0]] for part in wanted})
            return None, None, None
        similar = recommended = None
        if index is not None:
            similar = work.run("similar", lambda: similar_in_index(index, self.names.index, vectors, top, image))
        if recommender is not None:
            recommended = work.run(
                "recommendations", lambda: tuple(recommender.recommend_vectors(vectors.semantic[None], top)[0])
            )
        return vectors, similar, recommended

    def _found(
        self,
        work: "_Work",
        query: str | None,
        caption: Caption | None,
        grounding: GroundedCaption | None,
        vectors: Vectors | None,
        top: int,
        image: ImageSource,
    ) -> Similar | None:
        source = self.source
        if source is None or vectors is None:
            return None
        return work.run("found", lambda: source.similar(query or query_of(caption, grounding), vectors, top, image))


@dataclass
class _Work:
    """What is known about one image so far; threads write to different keys.

    Attributes:
        omitted: Parts that are not computed, with the reason.
        failed: Parts that failed, with the reason.
        seconds: Duration of each part.
    """

    omitted: dict[Part, str]
    failed: dict[Part, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def wants(self, part: Part) -> bool:
        """Returns whether a part is to be computed."""
        return part not in self.omitted and part not in self.failed

    def run(self, part: Part, call: Callable[[], _T], step: str | None = None) -> _T | None:
        """Returns the result of a part, or of a step of it; None if it is not wanted, or fails."""
        if not self.wants(part):
            return None
        begin = time.perf_counter()
        try:
            return call()
        except Exception as error:  # whatever happens in a part, the others are kept
            self.failed[part] = escaped(one_line(error))
            _log.debug("%s failed", part, exc_info=True)
            return None
        finally:
            self.seconds[step or part] = time.perf_counter() - begin


def _size(image: ImageSource, name: str) -> tuple[int, int]:
    """Returns width and height of the upright image, from its header."""
    if isinstance(image, np.ndarray):
        if image.ndim < 2:
            raise ImageError(f"{name}: an array of shape {image.shape} is no image")
        return int(image.shape[1]), int(image.shape[0])
    if isinstance(image, Image.Image):
        return upright_size(image)
    with open_image(image, name) as opened:
        return upright_size(opened)
