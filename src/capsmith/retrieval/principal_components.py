"""Principal components of pooled features, and the visual vectors made of them.

P images · D feature channels · v dimensions of a visual vector.
"""

from dataclasses import dataclass

import numpy as np

from capsmith.vision.feature_scale import feature_scale

_DIMENSIONS = 256  # of a visual vector, at most
_WHITENING = 0.25  # divides a component by its variance to this power; at 0 the first few would dominate


@dataclass(frozen=True)
class PrincipalComponents:
    """The components of standardised features, strongest first.

    Attributes:
        count: P.
        mean: Mean of the features (D,).
        scale: Factors that standardise the channels (D,).
        scaled: The standardised features (P, D).
    """

    count: int
    mean: np.ndarray
    scale: np.ndarray
    scaled: np.ndarray
    _strength: np.ndarray
    _components: np.ndarray
    _order: np.ndarray

    @classmethod
    def of(cls, pooled_PD: np.ndarray) -> "PrincipalComponents":  # noqa: N803
        """Computes the components of the pooled features of images."""
        mean, variance = pooled_PD.mean(axis=0), pooled_PD.var(axis=0)
        scale = feature_scale(variance, np.median(variance) or variance.mean())
        scaled = (pooled_PD - mean) * scale
        strength, components = np.linalg.eigh(scaled.T @ scaled / len(scaled))
        return cls(len(scaled), mean, scale, scaled, strength, components, np.argsort(-strength))

    def basis(self, most: int) -> np.ndarray:
        """Returns the strongest components (D, n); n is at most ``most`` and P."""
        basis: np.ndarray = self._components[:, self._order[: min(most, self.count)]]
        return basis

    def visual_projection(self) -> np.ndarray:
        """Returns the matrix (D, v) that maps centred features to visual vectors, before these get length 1."""
        largest = self._order[: min(_DIMENSIONS, self.count)]
        weight = np.maximum(self._strength[largest], 1e-6) ** -_WHITENING
        projection: np.ndarray = (self.scale[:, None] * self._components[:, largest] * weight).astype(np.float32)
        return projection


def unit(vectors: np.ndarray) -> np.ndarray:
    """Returns vectors (…, d) with length 1; zeros stay zeros."""
    unit: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    return unit
