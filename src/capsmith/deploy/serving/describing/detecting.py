"""The detector of a service."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from capsmith.deploy.serving.embedding.worker import Worker
from capsmith.vision.detection.detector import Detected, Detector


@dataclass(eq=False)
class ServedDetector:
    """A detector, and the thread that computes it.

    Attributes:
        detector: The detector, which only the worker calls.
        worker: The thread.
    """

    detector: Detector
    worker: Worker = field(default_factory=lambda: Worker("detection", 64))

    @property
    def name(self) -> str:
        """The detector without the folders of its file."""
        return self.detector.name.replace("\\", "/").rpartition("/")[2] or self.detector.name

    def describe(self) -> dict[str, Any]:
        """Returns what people may know about it."""
        return {"name": self.name, "threshold": self.detector.threshold, "labels": list(self.detector.labels)}

    async def detect(self, images: Sequence[bytes], threshold: float | None) -> list[Detected]:
        """Returns the objects of images that can be read.

        Args:
            images: The bytes of the files.
            threshold: The least confidence; None: the detector's own.
        """
        return await self.worker.run(lambda: [self.detector.detect(data, threshold) for data in images])
