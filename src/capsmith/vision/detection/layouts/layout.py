"""The interface of layouts, and what they are recognized by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from capsmith.vision.detection.candidates import Candidates
from capsmith.vision.detection.framing import Preparation


@dataclass(frozen=True)
class Network:
    """A detector's file, opened and computed once on a grey image.

    Attributes:
        inputs: Names of its inputs.
        outputs: What it computed, by name, in order.
        size: Height and width of its input in pixels.
        metadata: Properties that its author wrote into it.
        names: Names of its classes as far as known.
    """

    inputs: Sequence[str]
    outputs: Mapping[str, np.ndarray]
    size: tuple[int, int]
    metadata: Mapping[str, str]
    names: Sequence[str] | None

    @property
    def family(self) -> str:
        """The architecture's name where the exporting program wrote it; otherwise empty."""
        return self.metadata.get("model_family", "").lower()


class Layout(Protocol):
    """How the outputs of a recognized network are read."""

    @property
    def name(self) -> str:
        """Such as ``yolov8``."""

    @property
    def classes(self) -> int | None:
        """Number of classes that it scores; None where the outputs hold numbers of classes only."""

    @property
    def preparation(self) -> Preparation:
        """How its images are prepared."""

    @property
    def threshold(self) -> float:
        """Confidence by default."""

    def read(
        self, outputs: Mapping[str, np.ndarray], size: tuple[int, int], threshold: float, columns: Sequence[int] | None
    ) -> Candidates:
        """Returns the candidates above a threshold, boxes in pixels of the input.

        Args:
            outputs: What the network computed for one image.
            size: Height and width of its input.
            threshold: Scores must exceed it.
            columns: The classes that have names; None: all.
        """
