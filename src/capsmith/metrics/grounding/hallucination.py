"""The hallucination rate: objects that captions name and nothing confirms (CHAIR, Rohrbach et al. 2018).

    CHAIRi = hallucinated mentions / mentions of objects,    CHAIRs = captions with one or more / captions

A mention names one of COCO's 80 classes (``objects_of``). It is hallucinated if no reference of the image names or
implies the class and, where detections are given, no detector found it. CHAIR's truth is the union of references and
COCO's annotated boxes; detections stand in for the latter. Two more deviations: the word table is capsmith's, and what
a reference implies is true (``a skier`` implies skis). Rates compare only where images, number of references and
detections are the same: with fewer references, more mentions count as hallucinated.
"""

from collections.abc import Sequence

import numpy as np

from capsmith.core.errors import DataError
from capsmith.metrics.grounding.detections import DetectedLabels
from capsmith.metrics.grounding.objects import NamedObject, implied_by, objects_of
from capsmith.metrics.grounding.table import VERSION
from capsmith.metrics.metric import Corpus, Floats, Metric, References

Truth = Sequence[frozenset[str]]


def hallucinated(caption: str, truth: frozenset[str]) -> list[NamedObject]:
    """Returns the objects that a caption names and that are not true.

    Args:
        caption: The caption.
        truth: The classes that the image shows. A word of several classes, such as ``bike``, is confirmed by either.
    """
    return [one for one in objects_of(caption) if truth.isdisjoint(one.labels)]


def is_hallucination(name: str) -> bool:
    """Returns whether a name in a config is that of the metric or of one of its two scores."""
    return name in ("hallucination", "chair_i", "chair_s")


class Hallucination(Metric):
    """CHAIRi or CHAIRs.

    Args:
        per_caption: Compute CHAIRs, the share of captions; otherwise CHAIRi, the share of mentions.
        detected: For each image the classes that a detector found, None for an image without detections; None: the
            references alone are the truth.
        source: What the signature says of the detections.
    """

    lower_is_better = True

    def __init__(
        self, per_caption: bool, detected: Sequence[frozenset[str] | None] | None = None, source: str = ""
    ) -> None:
        self.name, self.title = ("chair_s", "CHAIRs") if per_caption else ("chair_i", "CHAIRi")
        self._per_caption, self._detected, self._source = per_caption, detected, source

    def with_detections(self, detections: DetectedLabels, ids: Sequence[object]) -> "Hallucination":
        """Returns the metric with the detections of a file as a second truth, for images in the order of ``ids``."""
        return Hallucination(self._per_caption, detections.of(ids), detections.source)

    def statistics(self, corpus: Corpus) -> Floats:
        """Returns rows of (hallucinated mentions, mentions, has hallucinated, 1), (N, 4).

        Raises:
            DataError: No reference names an object, so there is nothing to confirm.
        """
        return corpus.cached(("hallucination", self._source), lambda: self._statistics(corpus))

    def combine(self, summed: Floats) -> Floats:
        """Computes rates from summed rows; 0 where captions name no object."""
        wrong, total = (summed[..., 2], summed[..., 3]) if self._per_caption else (summed[..., 0], summed[..., 1])
        return np.asarray(wrong / np.maximum(total, 1), np.float64)

    def signature(self) -> tuple[str, ...]:
        """Returns the version of the word table, and the detections with the share of images that have them."""
        parts = (f"objects:coco80.{VERSION}",)
        if self._detected is None:
            return (*parts, "truth:references")
        covered = sum(found is not None for found in self._detected)
        return (*parts, f"truth:references+detections.{self._source}", f"detected:{covered}/{len(self._detected)}")

    def _statistics(self, corpus: Corpus) -> Floats:
        truth = self._truth(corpus.references)
        captions = [" ".join(tokens) for tokens in corpus.hypotheses]
        rows = np.ones((len(captions), 4))
        for row, caption, shown in zip(rows, captions, truth, strict=True):
            wrong = len(hallucinated(caption, shown))
            row[:3] = wrong, len(objects_of(caption)), wrong > 0
        return rows

    def _truth(self, references: References) -> Truth:
        named: Truth = references.cached("objects", lambda: [_named(group) for group in references.tokens])
        if not any(named):
            raise DataError(
                "hallucination: no reference names an object of COCO's 80 classes: it reads English words only"
            )
        if self._detected is None:
            return named
        return [classes | (found or frozenset()) for classes, found in zip(named, self._detected, strict=True)]


def _named(references: Sequence[Sequence[str]]) -> frozenset[str]:
    return frozenset().union(*(implied_by(" ".join(tokens)) for tokens in references))
