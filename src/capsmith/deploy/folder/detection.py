"""Objects in many images, in order: images are decoded in threads while the detector computes."""

import threading
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from capsmith.core.errors import ImageError
from capsmith.deploy.folder.decoding import Decoded, decoded_batches
from capsmith.vision.detection.detector import Detected, Detector
from capsmith.vision.images import load_upright


class DetectedImage(NamedTuple):
    """The result for one image.

    Attributes:
        path: The image.
        detected: What was found; None if the image cannot be read.
        error: The reason in that case.
    """

    path: Path
    detected: Detected | None = None
    error: ImageError | None = None


def detect_images(
    detector: Detector, paths: Sequence[Path], threshold: float | None = None, workers: int = 2
) -> Generator[DetectedImage, None, None]:
    """Yields what a detector finds in images, in the order of ``paths``.

    The detector is used by the thread that calls. At most three decoded images wait.

    Args:
        detector: The detector.
        paths: The images.
        threshold: Least confidence; by default the detector's.
        workers: Threads that decode images.
    """
    stop = threading.Event()
    batches = decoded_batches(paths, _decoded, 1, workers, stop)
    try:
        for batch in batches:
            for path, pixels, error in batch.images:
                if pixels is None:
                    yield DetectedImage(path, error=error)
                else:
                    yield DetectedImage(path, detector.detect(pixels[0], threshold))
    finally:
        stop.set()
        batches.close()  # type: ignore[attr-defined]  # a generator: its threads end


def _decoded(path: Path) -> Decoded[Path]:
    try:
        return Decoded(path, [np.asarray(load_upright(path))])
    except ImageError as error:
        return Decoded(path, None, error)
