"""A detector of coloured rectangles: the truth is known by construction."""

from collections.abc import Mapping, Sequence

import numpy as np

from capsmith.vision.detection.detector import Detected, Detection
from capsmith.vision.images import load_upright
from tests.support.toy_embedder import COLOURS

_NEAR = 60.0  # distance of a pixel from a colour


class ToyDetector:
    """Finds the pixels near each of ``COLOURS`` that cover at least a hundredth of an image.

    Args:
        names: What a colour is called, such as ``{"red": "person"}``; the others keep their names.
    """

    name, fingerprint, threshold = "toy detector", "toy-detector-1", 0.5

    def __init__(self, names: Mapping[str, str] | None = None) -> None:
        self._names = {colour: (names or {}).get(colour, colour) for colour in COLOURS}
        self.labels: Sequence[str] = list(self._names.values())
        self.detected = 0  # images so far

    def detect(self, image, threshold=None):
        self.detected += 1
        pixels = np.asarray(load_upright(image), np.float32)
        height, width = pixels.shape[:2]
        least = self.threshold if threshold is None else threshold
        found = []
        for colour, name in self._names.items():
            near = np.linalg.norm(pixels - COLOURS[colour], axis=2) < _NEAR
            if near.mean() < 0.01:
                continue
            rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
            box = tuple(map(float, (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)))
            score = float(near[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean())  # of the box that it fills
            if score >= least:
                found.append(Detection(name, score, box))
        found.sort(key=lambda one: (-one.score, one.label))
        return Detected(width, height, tuple(found))
