"""What a captioner remembers of its training images: their captions, and a vector of each to find it by.

P training images · D feature channels · d dimensions of a vector · k neighbours.

An image's vector is the mean of its regions, every channel brought to one scale, projected on two sets of directions:
those in which training images differ most (principal components, at most 256), and those that say most about captions
(``concepts.py``, at most 200). Each part is brought to length 1. Beside them stands which words an image's
features speak of. So 6,000 images take 16 MB, and a run can look its neighbours up without the images, the data set
or the features.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from capsmith.core.errors import CheckpointError, one_line
from capsmith.core.files import atomic
from capsmith.core.readers.arrays import FLOATS, INTEGERS, ArraySpec, read_arrays, read_headers
from capsmith.decoding.rerank import mbr as consensus
from capsmith.decoding.rerank.mbr import ConsensusConfig
from capsmith.decoding.search import Hypothesis
from capsmith.metrics.utility import DocumentFrequencies
from capsmith.retrieval.concepts import Content, directions
from capsmith.vision.feature_scale import feature_scale

FILE = "memory.npz"
_DIMENSIONS = 256
_EXPLAINED = 768  # principal components from which captions are explained
_WHITENING = 0.25  # a component counts by its deviation to the power 1 - 2 · this: none would let the first few rule
_BATCH = 256
_KEYS = ("vectors", "mean", "projection", "meaning", "words", "lengths", "groups")
_CONTENT = ("words", "rarity", "left", "right")
_SCHEMA = {
    "vectors": ArraySpec(FLOATS, ("images", "d")),
    "mean": ArraySpec(FLOATS, ("D",)),
    "projection": ArraySpec(FLOATS, ("D", "looks")),
    "meaning": ArraySpec(FLOATS, ("D", "said")),
    "words": ArraySpec(INTEGERS, ("all words",), minimum=0),
    "lengths": ArraySpec(INTEGERS, ("captions",), minimum=0),
    "groups": ArraySpec(INTEGERS, ("images",), minimum=0),
    "content_words": ArraySpec(INTEGERS, ("W",), minimum=0),
    "content_rarity": ArraySpec(FLOATS, ("W",)),
    "content_left": ArraySpec(FLOATS, ("D", "r")),
    "content_right": ArraySpec(FLOATS, ("r", "W")),
}


class Seen(Protocol):
    """Where the features of images are found, such as a member of an ensemble."""

    def features(self, ids: Sequence[str]) -> np.ndarray:
        """Returns features (N, D) or (N, L, D)."""


@dataclass(frozen=True)
class Memory:
    """Captions and vectors of training images.

    Attributes:
        captions: For each image its captions as word ids, without start and end.
        vectors: (P, d), looks and then meaning, each of length 1.
        mean: Of the pooled features, (D,).
        projection: To looks, (D, d').
        meaning: To meaning, (D, d - d').
        content: Which words images speak of, from the same features.
    """

    captions: tuple[tuple[tuple[int, ...], ...], ...]
    vectors: np.ndarray
    mean: np.ndarray
    projection: np.ndarray
    meaning: np.ndarray
    content: Content

    @classmethod
    def of(cls, seen: Seen, ids: Sequence[str], captions: Sequence[Sequence[Sequence[int]]]) -> "Memory":
        """Remembers images.

        Args:
            seen: Gives the features of images, (N, D) or (N, L, D).
            ids: The images.
            captions: For each image its captions as word ids.
        """
        pooled = np.concatenate(
            [pool(seen.features(ids[first : first + _BATCH])) for first in range(0, len(ids), _BATCH)]
        )
        mean, variance = pooled.mean(axis=0), pooled.var(axis=0)
        scale = feature_scale(variance, np.median(variance) or variance.mean())
        scaled = (pooled - mean) * scale
        strength, components = np.linalg.eigh(scaled.T @ scaled / len(scaled))
        order = np.argsort(-strength)
        kept, basis = order[: min(_DIMENSIONS, len(ids))], components[:, order[: min(_EXPLAINED, len(ids))]]
        weight = np.maximum(strength[kept], 1e-6) ** -_WHITENING
        looks = (scale[:, None] * components[:, kept] * weight).astype(np.float32)
        explained = scaled @ basis
        back = scale[:, None] * basis  # from features to those components
        said = (back @ directions(explained, captions)).astype(np.float32)
        content = Content.of(explained, captions)
        content = replace(content, left=(back @ content.left).astype(np.float32))
        remembered = tuple(tuple(tuple(int(word) for word in c) for c in group) for group in captions)
        return cls(remembered, _vectors(pooled - mean, looks, said).astype(np.float16), mean, looks, said, content)

    def alike(self, features: np.ndarray, count: int, weight: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """Returns the k training images most like each of some images, the most alike first.

        Args:
            features: (N, D) or (N, L, D).
            count: k.
            weight: What likeness of meaning counts beside that of looks.

        Returns:
            Numbers of training images, and how alike they are, both (N, k): the weighted mean of both cosines.
        """
        asking = _vectors(pool(features) - self.mean, self.projection, self.meaning)
        asking[:, self.projection.shape[1] :] *= weight
        likeness = asking @ self.vectors.astype(np.float32).T / np.float32(1 + weight)
        nearest: np.ndarray = np.argsort(-likeness, axis=1, kind="stable")[:, :count]
        return nearest, np.take_along_axis(likeness, nearest, axis=1)

    def choose(
        self, found: Sequence[Sequence[Hypothesis]], features: np.ndarray, config: ConsensusConfig
    ) -> list[list[Hypothesis]]:
        """Returns each image's captions in the order in which training images and captions agree on them.

        Args:
            found: What a search found for each of N images.
            features: Of the images, (N, D) or (N, L, D).
            config: What counts how much.
        """
        alike = self.alike(features, config.neighbours, config.meaning)
        spoken = self.content.spoken_of(pool(features) - self.mean)
        return [
            consensus.choose(
                one,
                [self.captions[image] for image in near],
                likeness,
                config,
                self.frequencies,
                partial(self.content.fit, said),
            )
            for one, near, likeness, said in zip(found, *alike, spoken, strict=True)
        ]

    @cached_property
    def frequencies(self) -> DocumentFrequencies:
        """In how many images' captions each n-gram stands."""
        return DocumentFrequencies(self.captions)

    def save(self, run: Path) -> None:
        """Writes ``memory.npz`` into a run directory, all of it or nothing."""
        flat = [caption for group in self.captions for caption in group]
        with atomic(run / FILE, "wb") as file:
            np.savez_compressed(
                file,
                vectors=self.vectors,
                mean=self.mean,
                projection=self.projection,
                meaning=self.meaning,
                words=np.array([word for caption in flat for word in caption], np.int32),
                lengths=np.array([len(caption) for caption in flat], np.int32),
                groups=np.array([len(group) for group in self.captions], np.int32),
                **{f"content_{name}": getattr(self.content, name) for name in _CONTENT},
            )

    @classmethod
    def load(cls, run: Path, channels: int | None = None, vocabulary: int | None = None) -> "Memory":
        """Reads what ``save`` wrote.

        Args:
            run: The run directory.
            channels: D of the features that the run's decoder takes; None takes any.
            vocabulary: Words that the run knows; None takes any.

        Raises:
            CheckpointError: It is missing or damaged, or of other features or words than the run's.
        """
        path = run / FILE
        if not path.is_file():
            raise CheckpointError(
                f"{run} remembers no training images, which this decoding asks: evaluate it once where the data is"
            )
        advice = "delete it, and evaluate the run once where the data is"
        headers = read_headers(path, CheckpointError, advice)
        if _SCHEMA.keys() - headers.keys() == {f"content_{name}" for name in _CONTENT}:
            raise CheckpointError(f"{path} is of an earlier capsmith: {advice}")
        if channels is not None and "mean" in headers and headers["mean"].shape != (channels,):
            raise CheckpointError(f"{path} is of features of another encoder: {advice}")
        saved = read_arrays(path, _SCHEMA, CheckpointError, advice)
        vectors, mean, looks, said, words, lengths, groups = (saved[key] for key in _KEYS)
        content = Content(*(saved[f"content_{name}"] for name in _CONTENT))
        try:
            captions = _grouped(_grouped(words.tolist(), lengths), groups)
            if looks.shape[1] + said.shape[1] != vectors.shape[1]:
                raise ValueError("its directions are not those of its vectors")
            if vocabulary is not None and max(array.max(initial=0) for array in (words, content.words)) >= vocabulary:
                raise ValueError("it holds words that the run does not know")
        except (ValueError, OverflowError) as error:
            raise CheckpointError(f"{path} is damaged: {one_line(error)}; {advice}") from error
        return cls(captions, vectors, mean, looks, said, content)


def pool(features: np.ndarray) -> np.ndarray:
    """Returns the mean over regions of (N, L, D), or (N, D) as it is, in float32."""
    features = np.asarray(features, np.float32)
    return features.mean(axis=1) if features.ndim == 3 else features


def _grouped(items: Sequence[Any], sizes: np.ndarray) -> tuple[Any, ...]:
    if sum(sizes.tolist()) != len(items):  # exact, whatever their type
        raise ValueError("sizes do not add up")
    ends = accumulate(sizes.tolist())
    return tuple(tuple(items[end - size : end]) for end, size in zip(ends, sizes.tolist(), strict=True))


def _vectors(pooled: np.ndarray, looks: np.ndarray, said: np.ndarray) -> np.ndarray:
    return np.concatenate([_unit(pooled @ looks), _unit(pooled @ said)], axis=1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    unit: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return unit
