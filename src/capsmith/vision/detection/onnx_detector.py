"""Detectors in ONNX files, computed by onnxruntime on the CPU.

A file is computed once when it is loaded, on a grey image: the shapes of its outputs tell their layout, and a file
that cannot be computed is refused at once. H, W height and width of the input.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from capsmith.core.errors import CapsmithError, CheckpointError, FeatureError
from capsmith.core.onnx_session import open_foreign
from capsmith.vision.detection.candidates import Candidates, found
from capsmith.vision.detection.class_names import parsed_names
from capsmith.vision.detection.detector import Detected
from capsmith.vision.detection.framing import Preparation
from capsmith.vision.detection.labels import COCO, labels_for
from capsmith.vision.detection.layouts.layout import Layout, Network
from capsmith.vision.detection.layouts.registry import recognise
from capsmith.vision.detection.onnx_inputs import OnnxInputs
from capsmith.vision.fingerprint import file_sha256, json_sha256
from capsmith.vision.images import ImageSource, load_upright

PATIENCE = 60.0
"""Seconds that one image may take: a file can hold a loop without end."""
_ADVICE = "see docs/detection.md for the files that are read"
_KEYS = ("model_family", "names", "task", "imgsz", "imgsz_h", "imgsz_w", "letterbox_pad", "model_size", "nms")
_TASKS = ("", "detect", "detection", "object-detection")


class OnnxDetector:
    """A detector in an ONNX file (see ``Detector``).

    Args:
        path: The file.
        threshold: Confidence by default; if None, that of the layout.
        labels: Names of the classes; if None, those that the file states, or COCO's.
        threads: Number of threads; by default one for each core.

    Attributes:
        layout: How its outputs are read.

    Raises:
        CheckpointError: The file is missing, damaged or hostile, or its outputs have no known layout.
        ConfigError: The names of its classes are unknown, or their number is wrong.
    """

    def __init__(
        self,
        path: Path,
        threshold: float | None = None,
        labels: Sequence[str] | None = None,
        threads: int | None = None,
    ) -> None:
        self.name, self._path = path.name, path
        self._session = open_foreign(path, _ADVICE, PATIENCE, threads)
        metadata = {key: value for key in _KEYS if (value := self._session.metadata.get(key)) is not None}
        if metadata.get("task", "").lower() not in _TASKS:
            raise CheckpointError(f"{path} is no detector: its task is {metadata['task'][:40]!r}")
        self._inputs = OnnxInputs(path, self._session, metadata)
        names = labels if labels is not None else parsed_names(metadata.get("names", ""))
        self.layout = self._recognised(metadata, names)
        self._preparation = self.layout.preparation.unscaled if self._inputs.whole else self.layout.preparation
        self._labels = self._named(names)
        self.labels: Sequence[str] = [label for label in self._labels if label is not None]
        self._columns = [number for number, label in enumerate(self._labels) if label is not None]
        self.threshold = self.layout.threshold if threshold is None else threshold
        self.fingerprint = self._fingerprint()

    def detect(self, image: ImageSource, threshold: float | None = None) -> Detected:
        """Returns the objects of an image; see ``Detector.detect``.

        Raises:
            CheckpointError: The file cannot be computed.
        """
        upright = load_upright(image)
        pixels, window = self._preparation.prepared(upright, self._inputs.size)
        least = self.threshold if threshold is None else threshold
        candidates = self._read(self._computed(pixels), least)
        boxes = window.undone(candidates.boxes)
        return found(candidates._replace(boxes=boxes), self._labels, upright.width, upright.height)

    def _computed(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        try:
            values = self._session(self._inputs.feeds(pixels))
        except MemoryError as error:
            raise CapsmithError(f"{self._path}: not enough memory to compute it") from error
        except CheckpointError as error:
            raise CheckpointError(f"{self._path}: {error}") from error
        outputs = dict(zip(self._session.outputs, values, strict=True))
        for name, value in outputs.items():
            if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub":
                raise CheckpointError(f"{self._path} is no detector: output {name[:40]!r} is no array of numbers")
        return outputs

    def _recognised(self, metadata: Mapping[str, str], names: Sequence[str] | None) -> Layout:
        grey = Image.new("RGB", self._inputs.size[::-1], (114, 114, 114))
        preparation = Preparation().unscaled if self._inputs.whole else Preparation()
        pixels, _ = preparation.prepared(grey, self._inputs.size)
        outputs = self._computed(pixels)
        network = Network(tuple(self._inputs.names), outputs, self._inputs.size, metadata, names)
        layout = recognise(network) or recognise(replace(network, names=None))
        if layout is None:
            shapes = ", ".join(f"{name[:40]} {list(value.shape)}" for name, value in list(outputs.items())[:8])
            raise CheckpointError(f"{self._path}: no known detector has the outputs {shapes or 'none'}; {_ADVICE}")
        self._shapes = {name: value.ndim for name, value in outputs.items()}
        return layout

    def _named(self, names: Sequence[str] | None) -> list[str | None]:
        if self.layout.classes is None:
            return list(names if names is not None else COCO)
        return labels_for(self.layout.classes, names, str(self._path))

    def _read(self, outputs: Mapping[str, np.ndarray], threshold: float) -> Candidates:
        try:
            if {name: value.ndim for name, value in outputs.items()} != self._shapes:
                raise ValueError("their axes changed")
            return self.layout.read(outputs, self._inputs.size, threshold, self._columns)
        except (ValueError, IndexError, TypeError) as error:
            raise CheckpointError(f"{self._path}: its outputs do not fit the layout {self.layout.name}") from error

    def _fingerprint(self) -> str:
        try:
            file = file_sha256(self._path)
        except FeatureError as error:
            raise CheckpointError(str(error).removeprefix("encoder weights ")) from error
        return json_sha256({"method": f"onnx detector 1 {self.layout.name}", "file": file, "labels": self._labels})
