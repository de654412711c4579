"""Distance of an image from the training images: captions of unfamiliar images come with a warning.

P training images · D feature channels · d dimensions.

The features of an image are averaged over regions, centred, and whitened in the principal components of the training
images (Mahalanobis 1936; for networks Lee et al. 2018). The norm of the residual is an additional dimension. The
distance is that to the nearest of at most 2,000 training images (Sun et al. 2022). The threshold comes from dev images:
at most 1 % of them exceed it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from capsmith.core.errors import CheckpointError
from capsmith.core.files import atomic
from capsmith.core.readers.arrays import FLOATS, ArraySpec, read_arrays
from capsmith.retrieval.pooled import FeatureLookup, pool

_MAX_TRAIN, _MAX_DEV = 2000, 1000  # images that are used
_MIN_TRAIN, _MIN_DEV = 40, 10  # with fewer images there is no summary
_DIMENSIONS = 256
_FLOOR = 1e-3  # share of the mean variance that is added to every component
_SHARE, _DEVIATIONS = 0.99, 3.0
_BATCH = 64
_FEW = 32  # images that are captioned together
_LIMIT = 10**5  # training images, channels or dimensions in a file
_SCHEMA = {
    "vectors": ArraySpec(FLOATS, ("images", "width")),
    "mean": ArraySpec(FLOATS, ("channels",)),
    "basis": ArraySpec(FLOATS, ("channels", "components")),
    "rest": ArraySpec(FLOATS, (2,)),
    "threshold": ArraySpec(FLOATS, ()),
}
_KEYS = tuple(_SCHEMA)


@dataclass(frozen=True)
class DomainCheck:
    """Distance of an image from the training images.

    Attributes:
        distance: Distance to the nearest training image, in standard deviations of training features.
        threshold: Distance that at most 1 % of dev images exceed.
    """

    distance: float
    threshold: float

    @property
    def unlike_training(self) -> bool:
        """Whether the image differs so much from the training images that its caption is probably poor."""
        return self.distance > self.threshold


@dataclass(frozen=True)
class TrainingDomain:
    """A summary of training images.

    Attributes:
        vectors: Training images, (P, d).
        mean: Mean of the pooled features, (D,).
        basis: Projection onto whitened components, (D, d - 1); its columns are not normalised.
        rest: Mean and deviation of the norm of the residual, (2,).
        threshold: The largest usual distance.
    """

    vectors: np.ndarray
    mean: np.ndarray
    basis: np.ndarray
    rest: np.ndarray
    threshold: float

    @classmethod
    def of(cls, lookup: FeatureLookup, train: Sequence[str], dev: Sequence[str]) -> "TrainingDomain | None":
        """Summarises training images, and calibrates the threshold on dev images.

        Args:
            lookup: Looks up the features of images, (N, D) or (N, L, D).
            train: Ids of training images.
            dev: Ids of dev images.

        Returns:
            The summary, or None if there are too few images.
        """
        if len(train) < _MIN_TRAIN or len(dev) < _MIN_DEV:
            return None
        pooled = _pooled(lookup, _evenly_spaced(train, _MAX_TRAIN))
        dev_pooled = _pooled(lookup, _evenly_spaced(dev, _MAX_DEV))
        if not (np.isfinite(pooled).all() and np.isfinite(dev_pooled).all()):
            return None
        mean = pooled.mean(axis=0)
        variance, components = np.linalg.eigh(np.cov(pooled - mean, rowvar=False, bias=True).reshape(len(mean), -1))
        order = np.argsort(-variance)[: min(_DIMENSIONS, len(pooled) // 4)]
        scale = 1 / np.sqrt(variance[order].clip(0) + _FLOOR * variance.mean() + 1e-12)
        basis = (components[:, order] * scale).astype(np.float32)
        empty = cls(np.zeros((0, 1), np.float32), mean, basis, np.array([0, 1], np.float32), 0.0)
        residuals = empty._vectors(pooled)[:, -1]
        rest = np.array([residuals.mean(), max(residuals.std(), 0.01 * np.sqrt(variance.sum()), 1e-6)], np.float32)
        summary = replace(empty, rest=rest)
        summary = replace(summary, vectors=summary._vectors(pooled))
        return replace(summary, threshold=_threshold(summary.distances(dev_pooled)))

    def extended(self, lookup: FeatureLookup, train: Sequence[str]) -> "TrainingDomain":
        """Returns the summary of these training images and of others, with the same components and threshold.

        Args:
            lookup: Looks up the features of the others.
            train: Their ids.
        """
        others = self._vectors(_pooled(lookup, _evenly_spaced(train, _MAX_TRAIN)))
        return replace(self, vectors=np.concatenate([self.vectors.astype(np.float32), others]))

    def distances(self, features: np.ndarray) -> np.ndarray:
        """Returns the distance of images (N, D) or (N, L, D) to the nearest training image, (N,)."""
        queries = self._vectors(pool(features))
        squares = (queries**2).sum(axis=1)[:, None] + self._squares - 2 * _product(queries, self._known.T)
        nearest: np.ndarray = np.sqrt(np.maximum(squares.min(axis=1), 0))
        return nearest

    def check(self, features: np.ndarray) -> list[DomainCheck]:
        """Compares images with the training images.

        Args:
            features: (N, D) or (N, L, D).
        """
        return [DomainCheck(float(distance), self.threshold) for distance in self.distances(features)]

    def pooled(self) -> np.ndarray:
        """Returns the pooled features (P, D) of the training images, without what the components leave out."""
        return self.mean + _product(self.vectors[:, :-1].astype(np.float32), self._back)

    def _vectors(self, pooled: np.ndarray) -> np.ndarray:
        """Returns whitened components followed by the standardised norm of the residual, (N, d)."""
        centred = pooled - self.mean
        inner = _product(centred, self.basis)
        residuals = np.linalg.norm(centred - _product(inner, self._back), axis=1)
        return np.concatenate([inner, ((residuals - self.rest[0]) / self.rest[1])[:, None]], axis=1)

    @cached_property
    def _back(self) -> np.ndarray:
        """Maps whitened components to centred features, (d - 1, D); the components are orthogonal."""
        return np.ascontiguousarray((self.basis / np.maximum((self.basis**2).sum(axis=0), 1e-30)).T)

    @cached_property
    def _known(self) -> np.ndarray:
        return self.vectors.astype(np.float32)

    @cached_property
    def _squares(self) -> np.ndarray:
        squares: np.ndarray = (self._known**2).sum(axis=1)
        return squares

    def save(self, path: Path, compact: bool = False) -> None:
        """Writes the summary atomically.

        Args:
            path: The file.
            compact: Write the large arrays in half precision: half the size, distances change by about 0.1 %.
        """
        dtype = np.float16 if compact else np.float32
        with atomic(path, "wb") as file:
            np.savez(
                file,
                vectors=self.vectors.astype(dtype),
                mean=self.mean,
                basis=self.basis.astype(dtype),
                rest=self.rest,
                threshold=np.float64(self.threshold),
            )

    @classmethod
    def load(cls, path: Path, channels: int) -> "TrainingDomain | None":
        """Reads a summary; returns None if the file does not exist, as in runs of earlier versions.

        Args:
            path: The file.
            channels: D of the features.

        Raises:
            CheckpointError: The file is damaged, or belongs to another encoder.
        """
        if not path.exists():
            return None
        advice = "delete it to caption without warnings of unfamiliar images"
        saved = read_arrays(path, _SCHEMA, CheckpointError, advice)
        if fault := _fault(saved, channels):
            raise CheckpointError(f"{path} is damaged: {fault}; {advice}")
        vectors, mean, basis, rest = (saved[key].astype(np.float32) for key in _KEYS[:-1])
        return cls(vectors, mean, basis, rest, float(saved["threshold"]))


def _product(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Returns the matrix product, of few rows without BLAS: its threads would stay busy beside those of onnxruntime."""
    if len(one) > _FEW:
        return one @ other
    product: np.ndarray = np.einsum("nd,dk->nk", one, other)
    return product


def _threshold(usual: np.ndarray) -> float:
    """Returns a distance that at most 1 % of ``usual`` and few of another sample exceed: three log deviations.

    The lower bound limits the influence of near copies of training images, whose distance is almost zero.
    """
    most = max(float(np.quantile(usual, _SHARE, method="higher")), 1e-6)
    logs = np.log(np.maximum(usual, most / 10))
    return max(most, float(np.exp(logs.mean() + _DEVIATIONS * logs.std())))


def _fault(saved: dict[str, np.ndarray], channels: int) -> str:
    """Describes an error in the arrays of a file; empty if there is none."""
    vectors, _, basis, rest, threshold = (saved[key] for key in _KEYS)
    count, size = len(vectors), basis.shape[1]
    fit = vectors.shape[1] == size + 1 and basis.shape[0] == channels
    if not fit or not 0 < count <= _LIMIT or not 0 < size <= _LIMIT:
        return f"its arrays do not fit together, or belong to features that do not have {channels} channels"
    if not (threshold > 0 and rest[1] > 0):
        return "its threshold or deviation is not above zero"
    return ""


def _evenly_spaced(ids: Sequence[str], most: int) -> Sequence[str]:
    """Returns at most ``most`` ids, evenly spaced."""
    return [ids[place] for place in np.unique(np.linspace(0, len(ids) - 1, min(most, len(ids))).astype(int))]


def _pooled(lookup: FeatureLookup, ids: Sequence[str]) -> np.ndarray:
    return np.concatenate([pool(lookup.features(ids[at : at + _BATCH])) for at in range(0, len(ids), _BATCH)])
