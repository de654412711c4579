"""What a batch costs: features and captions of images of several requests, each as if it were alone.

B images · S encoders.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from capsmith.decoding.features import EnsembleFeatures
from capsmith.models.feature_captioner import Features, parts_of

SIZES = (1, 2, 4, 8, 16, 32, 64)
"""Batch sizes of a model that is compiled for each size; other batches are filled up."""

_FEW = 4  # searched together they cost a third less than alone; more save little

Rows = tuple[np.ndarray, ...]
"""Features of one image, one array for each member of an ensemble."""


class Encoded(NamedTuple):
    """An image after the CNN.

    Attributes:
        rows: Its features.
        domain: Its distance from the training images, if the captioner knows them.
    """

    rows: Rows
    domain: Any = None


class Wanted(NamedTuple):
    """What a request wants for each of its captions.

    Attributes:
        decoding: The search.
        details: The probability of each word.
        attention: The attention map of each word.
    """

    decoding: Any
    details: bool = True
    attention: bool = False


class BatchWork:
    """Encodes and searches batches with a captioner. ``encode`` and ``search`` may run in two threads.

    Args:
        captioner: The captioner.
        padded: Fill batches up to one of ``SIZES``: Keras compiles its functions for each size.
    """

    def __init__(self, captioner: Any, padded: bool = False) -> None:
        self.captioner, self.padded = captioner, padded
        self._is_export = bool(getattr(captioner, "keeps_details", False))

    @property
    def encoded_at_once(self) -> int | None:
        """Number of images after which a batch of the CNN is handed on; None for the whole batch.

        An exported CNN computes images one by one anyway; so the search need not wait for the last one.
        """
        return _FEW if self._is_export else None

    def encode(self, pixels: Sequence[Sequence[np.ndarray]]) -> list[Encoded]:
        """Returns the features of images, and how far they are from the training images.

        Args:
            pixels: For each image S arrays (H, W, 3).
        """
        filled = self._filled(pixels)
        features = self.captioner.encode(*(np.stack(part) for part in zip(*filled, strict=True)))
        parts = parts_of(features)
        domain = getattr(self.captioner, "domain", None)
        checks = [None] * len(pixels) if domain is None else domain.check(parts[0][: len(pixels)])
        return [Encoded(tuple(part[number] for part in parts), check) for number, check in enumerate(checks)]

    def search(self, encoded: Sequence[Encoded], wanted: Sequence[Wanted]) -> list[Any]:
        """Returns the captions of images.

        Args:
            encoded: The features of each image.
            wanted: What each wants; ``decoding`` is the same in all.
        """
        rows = [one.rows for one in encoded]
        features = _features(self._filled(rows))
        details, attention = any(one.details for one in wanted), any(one.attention for one in wanted)
        if self._is_export:  # the search has them, for all if for one
            captions = self.captioner.caption_features(
                features, wanted[0].decoding, attention=attention, probabilities=details
            )
            captions = [_as_wanted(*pair) for pair in zip(captions, wanted, strict=False)]
        else:
            captions = self.captioner.caption_features(features, wanted[0].decoding)[: len(rows)]
            captions = self._with_details(rows, captions, wanted)
        return [replace(caption, domain=one.domain) for caption, one in zip(captions, encoded, strict=True)]

    def _with_details(self, rows: Sequence[Rows], captions: list[Any], wanted: Sequence[Wanted]) -> list[Any]:
        """Adds probabilities and attention maps for those who want them, in one call: it computes all words again."""
        places = [place for place, one in enumerate(wanted) if one.details or one.attention]
        if not places:
            return captions
        chosen = self._filled(places)
        features = _features([rows[place] for place in chosen])
        attention = any(one.attention for one in wanted)
        detailed = self.captioner.word_details(features, [captions[place] for place in chosen], attention=attention)
        captions = list(captions)
        for place, caption in zip(places, detailed, strict=False):  # what was filled up is not needed
            captions[place] = _as_wanted(caption, wanted[place])
        return captions

    def _filled(self, items: Sequence[Any]) -> list[Any]:
        if not self.padded:
            return list(items)
        size = next((size for size in SIZES if size >= len(items)), len(items))
        return [*items, *[items[-1]] * (size - len(items))]


def _as_wanted(caption: Any, wanted: Wanted) -> Any:
    return caption if wanted.attention or caption.attention is None else replace(caption, attention=None)


def _features(rows: Sequence[Rows]) -> Features:
    """Returns the features of a batch."""
    parts = [np.stack(part) for part in zip(*rows, strict=True)]
    return parts[0] if len(parts) == 1 else EnsembleFeatures(parts)
