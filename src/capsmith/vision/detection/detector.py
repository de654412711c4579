"""The interface of detectors, and what they find. It imports no network library."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from capsmith.vision.images import ImageSource


@dataclass(frozen=True)
class Detection:
    """An object in an image.

    Attributes:
        label: The name of its class, such as ``person``.
        score: Confidence, 0 to 1.
        box: Left, top, right and bottom in pixels of the upright image, inside it.
    """

    label: str
    score: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Detected:
    """What was found in one image.

    Attributes:
        width: Width of the upright image in pixels.
        height: Its height.
        objects: The objects, most confident first.
    """

    width: int
    height: int
    objects: tuple[Detection, ...]


class Detector(Protocol):
    """Finds objects in images.

    Attributes:
        name: The detector for people.
        fingerprint: Hash of everything that detections depend on but the threshold.
        labels: The names of the classes, in the order of the network's outputs.
        threshold: The confidence that is used by default.
    """

    name: str
    fingerprint: str
    labels: Sequence[str]
    threshold: float

    def detect(self, image: ImageSource, threshold: float | None = None) -> Detected:
        """Returns the objects of an image: a path, bytes, a PIL image or an array (H, W, 3).

        Raises:
            ImageError: The image cannot be read.
        """
