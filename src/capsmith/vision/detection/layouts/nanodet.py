"""NanoDet: scores of each cell, and the distances of a box's four sides from it as distributions over bins.

The sides are expectations in strides (generalized focal loss, Li et al. 2020). One output of scores and one of
distances for each of three strides, or all in one output (N, C + 4 · bins). Images are stretched, blue first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from capsmith.vision.detection.candidates import Candidates
from capsmith.vision.detection.framing import Preparation
from capsmith.vision.detection.layouts.cells import best_cells
from capsmith.vision.detection.layouts.layout import Network

_OVERLAP = 0.6  # as NanoDet's own evaluation
_STRIDES = (8, 16, 32)
_MEAN, _STD = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)


@dataclass(frozen=True)
class NanoDet:
    """See ``Layout``.

    Attributes:
        scores: Names of the outputs with scores, by increasing stride.
        distances: Names of the outputs with distances, in the same order.
    """

    classes: int | None
    scores: tuple[str, ...]
    distances: tuple[str, ...]
    name: str = "nanodet"
    threshold: float = 0.4
    preparation: Preparation = field(
        default_factory=lambda: Preparation("stretch", bgr=True, scale=1.0, mean=_MEAN, std=_STD)
    )

    def read(
        self, outputs: Mapping[str, np.ndarray], size: tuple[int, int], threshold: float, columns: Sequence[int] | None
    ) -> Candidates:
        """Returns what is left after suppression; see ``Layout.read``."""
        boxes, scores = [], []
        for stride, score, distance in zip(_STRIDES, self.scores, self.distances, strict=True):
            boxes.append(_boxes(outputs[distance][0].astype(np.float64), stride, size))
            scores.append(outputs[score][0].astype(np.float64))
        return best_cells(np.concatenate(boxes), np.concatenate(scores), threshold, _OVERLAP, columns)


def _boxes(distances: np.ndarray, stride: int, size: tuple[int, int]) -> np.ndarray:
    """Returns boxes (N, 4) in pixels of the input, from distributions (N, 4 · bins) of the cells of one stride."""
    bins = distances.reshape(len(distances), 4, -1)
    with np.errstate(invalid="ignore"):
        weights = np.exp(bins - bins.max(axis=2, keepdims=True))
        sides = (weights @ np.arange(bins.shape[2])) / weights.sum(axis=2) * stride
    down, across = np.meshgrid(np.arange(size[0] // stride), np.arange(size[1] // stride), indexing="ij")
    centres = (np.stack([across.ravel(), down.ravel()], axis=1) + 0.5) * stride
    return np.concatenate([centres - sides[:, :2], centres + sides[:, 2:]], axis=1)


def recognise(network: Network) -> NanoDet | None:
    """Returns the layout of a network with scores and distances of three strides; None for any other."""
    if len(network.outputs) != 2 * len(_STRIDES) or any(
        v.ndim != 3 or v.shape[0] != 1 or v.dtype.kind != "f" for v in network.outputs.values()
    ):
        return None
    scores, distances = [], []
    for stride in _STRIDES:
        cells = (network.size[0] // stride) * (network.size[1] // stride)
        of_stride = [name for name, value in network.outputs.items() if value.shape[1] == cells]
        if len(of_stride) != 2:
            return None
        low, high = sorted(of_stride, key=lambda name: _is_distance(network.outputs[name]))
        scores.append(low)
        distances.append(high)
    widths = {network.outputs[name].shape[2] for name in scores}, {network.outputs[name].shape[2] for name in distances}
    if any(len(width) != 1 for width in widths) or next(iter(widths[1])) % 4:
        return None
    return NanoDet(next(iter(widths[0])), tuple(scores), tuple(distances))


def _is_distance(output: np.ndarray) -> bool:
    """Returns whether an output holds logits of distances: scores lie in 0–1."""
    return bool(output.min(initial=0) < 0 or output.max(initial=0) > 1)
