"""NanoDet: scores of each cell, and the distances of a box's four sides from it as distributions over bins.

The sides are expectations in strides (generalized focal loss, Li et al. 2020). One output of scores and one of
distances for each of three strides, or all in one output (N, C + 4 · bins); NanoDet-Plus has four strides and counts
distances from the cells' corners. Images are stretched, blue first.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from capsmith.vision.detection.candidates import Candidates
from capsmith.vision.detection.framing import Preparation
from capsmith.vision.detection.layouts.cells import best_cells
from capsmith.vision.detection.layouts.layout import Network

_OVERLAP = 0.6  # as NanoDet's own evaluation
_STRIDES, _PLUS_STRIDES = (8, 16, 32), (8, 16, 32, 64)
_BINS = (8, 11)  # of a side, in the published models
_COCO = 80
_MEAN, _STD = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)


@dataclass(frozen=True)
class NanoDet:
    """See ``Layout``.

    Attributes:
        scores: Names of the outputs with scores, by increasing stride; or the name of the only output.
        distances: Names of the outputs with distances, in the same order; empty if there is one output only.
        strides: Pixels of the input from one cell to the next, by output.
        centre: Where a cell's distances start, as a fraction of it.
    """

    classes: int | None
    scores: tuple[str, ...]
    distances: tuple[str, ...] = ()
    strides: tuple[int, ...] = _STRIDES
    centre: float = 0.5
    name: str = "nanodet"
    threshold: float = 0.4
    preparation: Preparation = field(
        default_factory=lambda: Preparation("stretch", bgr=True, scale=1.0, mean=_MEAN, std=_STD)
    )

    def read(
        self, outputs: Mapping[str, np.ndarray], size: tuple[int, int], threshold: float, columns: Sequence[int] | None
    ) -> Candidates:
        """Returns what is left after suppression; see ``Layout.read``."""
        scores = np.concatenate([outputs[name][0] for name in self.scores]).astype(np.float64)
        if self.distances:
            distances = np.concatenate([outputs[name][0] for name in self.distances]).astype(np.float64)
        else:
            scores, distances = scores[:, : self.classes], scores[:, self.classes :]
        boxes = _boxes(distances, size, self.strides, self.centre)
        return best_cells(boxes, scores, threshold, _OVERLAP, columns)


def _boxes(distances: np.ndarray, size: tuple[int, int], strides: Sequence[int], centre: float) -> np.ndarray:
    """Returns boxes (N, 4) in pixels of the input, from distributions (N, 4 · bins) of the cells of all strides."""
    starts, steps = [], []
    for stride in strides:
        rows, columns = _cells(size, stride)
        down, across = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
        starts.append((np.stack([across.ravel(), down.ravel()], axis=1) + centre) * stride)
        steps.append(np.full((rows * columns, 1), stride))
    bins = distances.reshape(len(distances), 4, -1)
    with np.errstate(invalid="ignore"):
        weights = np.exp(bins - bins.max(axis=2, keepdims=True))
        sides = (weights @ np.arange(bins.shape[2])) / weights.sum(axis=2) * np.concatenate(steps)
    start = np.concatenate(starts)
    return np.concatenate([start - sides[:, :2], start + sides[:, 2:]], axis=1)


def _cells(size: tuple[int, int], stride: int) -> tuple[int, int]:
    return -(-size[0] // stride), -(-size[1] // stride)


def recognise(network: Network) -> NanoDet | None:
    """Returns the layout of a network with scores and distances of three or four strides; None for any other."""
    if any(v.ndim != 3 or v.shape[0] != 1 or v.dtype.kind != "f" for v in network.outputs.values()):
        return None
    if len(network.outputs) == 1:
        return _joined(network, *next(iter(network.outputs.items())))
    return _separate(network) if len(network.outputs) == 2 * len(_STRIDES) else None


def _joined(network: Network, name: str, output: np.ndarray) -> NanoDet | None:
    classes = _COCO if network.names is None else len(network.names)
    if output.shape[2] not in [classes + 4 * bins for bins in _BINS]:
        return None
    for strides, centre in ((_STRIDES, 0.5), (_PLUS_STRIDES, 0.0)):
        if output.shape[1] == sum(math.prod(_cells(network.size, stride)) for stride in strides):
            return NanoDet(classes, (name,), (), strides, centre)
    return None


def _separate(network: Network) -> NanoDet | None:
    scores, distances = [], []
    for stride in _STRIDES:
        cells = math.prod(_cells(network.size, stride))
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
