"""Compares an export, loaded again from its files, with the checkpoint: the same images through both.

P images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from capsmith.core.errors import CheckpointError
from capsmith.decoding.config import BeamConfig, DecodingConfig
from capsmith.decoding.features import EnsembleFeatures
from capsmith.decoding.rerank.rerank import rerank
from capsmith.decoding.search import search
from capsmith.deploy.export.formats import Format
from capsmith.deploy.export.loaded import LoadedEnsemble, LoadedMember
from capsmith.models.caption import Caption, caption_of
from capsmith.models.captioner import Captioner
from capsmith.models.feature_captioner import parts_of
from capsmith.retrieval.caption_index import CaptionIndex
from capsmith.retrieval.caption_judge import CaptionJudge
from capsmith.retrieval.judge_file import StoredJudge
from capsmith.vision.images import ImageSource, load_image

READ_BY_CAPTIONER = ("onnx", "web")
"""Formats that ``Captioner.load`` reads."""


@dataclass(frozen=True)
class Tolerance:
    """How much an export may differ from the checkpoint.

    Attributes:
        score: Largest difference of the scores of an image's best captions; None if it is not bounded.
        same: Smallest share of images with the same caption.
        cosine: Smallest mean cosine of features.
    """

    score: float | None
    same: float
    cosine: float


EXACT = Tolerance(score=1e-3, same=0.95, cosine=0.9999)
"""Without quantisation: a caption may differ only where two are tied."""
QUANTISED = {
    "float16": Tolerance(score=5e-2, same=0.75, cosine=0.999),
    "int8": Tolerance(score=1.0, same=0.4, cosine=0.98),
}


@dataclass(frozen=True)
class Comparison:
    """What the comparison found.

    Attributes:
        images: Number of images.
        source: What they are.
        same: Share of images with the same caption.
        score: Largest difference of the scores of an image's best captions.
        cosine: Mean cosine between the features of checkpoint and export.
    """

    images: int
    source: str
    same: float
    score: float
    cosine: float

    def as_dict(self) -> dict[str, Any]:
        """Returns the comparison for the manifest."""
        return {
            "images": self.images,
            "source": self.source,
            "same_captions": self.same,
            "largest_score_difference": self.score,
            "feature_cosine": self.cosine,
        }

    def __str__(self) -> str:
        return (
            f"compared with the checkpoint on {self.images} {self.source}: {self.same:.1%} same captions, scores "
            f"within {self.score:.2g}, features' cosine {self.cosine:.6f}"
        )


class Reader(Protocol):
    """An export that was loaded again."""

    def features(self, image: ImageSource) -> Any:
        """Returns the features of one image; P is 1."""

    def caption(self, features: Any, decoding: DecodingConfig) -> Caption:
        """Captions one image by its features."""


def load_again(folder: Path, members: Sequence[dict[str, Any]], spec: Format, captioner: Captioner) -> Reader:
    """Opens an export from its files: with ``Captioner.load`` if that reads the format, so that it is tested too."""
    if spec.name in READ_BY_CAPTIONER:
        return ReadExport(Captioner.load(folder))
    return LoadedExport(folder, members, spec, captioner)


class ReadExport:
    """An export that ``Captioner.load`` has read.

    Args:
        captioner: The export.
    """

    def __init__(self, captioner: Captioner) -> None:
        self.captioner = captioner

    def features(self, image: ImageSource) -> Any:
        """Returns the features of one image; P is 1."""
        return self.captioner.features(image)

    def caption(self, features: Any, decoding: DecodingConfig) -> Caption:
        """Captions one image by its features."""
        (caption,) = self.captioner.caption_features(features, decoding)
        return caption


class LoadedExport:
    """An export that was opened from its files; implements ``rerank.RerankContext``.

    Args:
        folder: The export.
        members: The members of its manifest.
        spec: Its format.
        captioner: The checkpoint, for vocabulary and settings.
    """

    def __init__(self, folder: Path, members: Sequence[dict[str, Any]], spec: Format, captioner: Captioner) -> None:
        self.folder, self.captioner = folder, captioner
        opened = spec.load(spec.opener)
        self.members = tuple(
            LoadedMember(
                tuple(opened(folder / entry["folder"] / encoder["file"]) for encoder in entry["encoders"]),
                opened(folder / entry["folder"] / entry["start"]),
                opened(folder / entry["folder"] / entry["step"]),
                entry["n_static"],
                entry["store_float16"],
            )
            for entry in members
        )
        self.sizes = [[tuple(encoder["image_size"]) for encoder in entry["encoders"]] for entry in members]

    def features(self, image: ImageSource) -> Any:
        """Returns the features of one image; P is 1."""
        parts = [
            member.encode([load_image(image, size)[None] for size in sizes])
            for member, sizes in zip(self.members, self.sizes, strict=True)
        ]
        return parts[0] if len(parts) == 1 else EnsembleFeatures(parts)

    def caption(self, features: Any, decoding: DecodingConfig) -> Caption:
        """Captions one image by its features."""
        stepper = self.members[0] if len(self.members) == 1 else LoadedEnsemble(self.members)
        wishes = self.captioner.wishes(decoding)
        found = search(stepper, features, decoding, wishes)
        (ranked,) = rerank(found, parts_of(features)[0], decoding, self)
        if wishes is not None and wishes.n:
            ranked = wishes.distinct(ranked)
        return caption_of(ranked, self.captioner.vocabulary, self.captioner.config.text)

    @cached_property
    def caption_index(self) -> CaptionIndex:
        """The caption index of the export."""
        return CaptionIndex.load(self.folder, self.captioner.feature_shape[-1], len(self.captioner.vocabulary))

    def caption_judge(self, embedding: Path) -> CaptionJudge:
        """Returns the copy of a joint embedding in the export."""
        return self._judge

    @cached_property
    def _judge(self) -> CaptionJudge:
        captioner = self.captioner
        judge = StoredJudge.load(self.folder, captioner.feature_shape[-1])
        return judge.judge(captioner.vocabulary, captioner.config.text, captioner.feature_shape)


def compare(captioner: Captioner, export: Reader, images: Sequence[ImageSource], source: str) -> Comparison:
    """Captions images by checkpoint and export.

    Random samples are compared by beam search instead: a rounding error can change every sample after it.
    """
    decoding: DecodingConfig = captioner.config.decoding
    if decoding.type == "sample":
        decoding = BeamConfig(max_length=decoding.max_length, min_length=decoding.min_length)
    same, difference, cosines = 0, 0.0, []
    for image in images:
        expected_features, features = captioner.features(image), export.features(image)
        (expected,) = captioner.caption_features(expected_features, decoding)
        found = export.caption(features, decoding)
        same += found.text == expected.text
        difference = max(difference, abs(found.score - expected.score))
        pairs = zip(parts_of(expected_features), parts_of(features), strict=True)
        cosines += [_cosine(one, other) for one, other in pairs]
    return Comparison(len(images), source, same / len(images), difference, float(np.mean(cosines)))


def require_same(comparison: Comparison, tolerance: Tolerance, what: str) -> None:
    """Checks that an export gives the captions of its checkpoint.

    Raises:
        CheckpointError: It differs by more than the tolerance.
    """
    within = comparison.same >= tolerance.same and comparison.cosine >= tolerance.cosine
    if tolerance.score is not None:
        within &= comparison.score <= tolerance.score
    if not within:  # also if a score is not a number
        limits = f"{tolerance.same:.0%} same captions, cosine {tolerance.cosine}"
        limits += f", scores within {tolerance.score}" if tolerance.score is not None else ""
        raise CheckpointError(f"{what} does not give the run's captions: {comparison} (needed: {limits})")


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    first, second = np.asarray(one, np.float64).ravel(), np.asarray(other, np.float64).ravel()
    norms = np.linalg.norm(first) * np.linalg.norm(second)
    return float(first @ second / norms) if norms else float(not first.any() and not second.any())
