"""Outputs that are finished: boxes, scores and classes of the objects found, suppressed where that is needed.

| name | outputs | who exports it |
|---|---|---|
| ``rtdetr`` | labels, boxes and scores | RT-DETR, D-FINE and DEIM; they take ``orig_target_sizes``, width and height |
| ``yolov10`` | (1, N, 6): box, score, class | YOLOv10, exports with suppression inside |
| ``yolov7_end2end`` | (N, 7): image, box, class, score | YOLOv7 |
| ``nms`` | number, boxes, scores and classes | the suppression operator of TensorRT, as ONNX |
| ``paddle`` | (N, 6): class, score, box | PaddleDetection; takes ``scale_factor`` |

Boxes are left, top, right and bottom in pixels of the input; empty rows have a score of 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from capsmith.vision.detection.candidates import MOST, Candidates
from capsmith.vision.detection.framing import IMAGENET_MEAN, IMAGENET_STD, Preparation
from capsmith.vision.detection.layouts.layout import Network

_BOX = (0, 1, 2, 3)


@dataclass(frozen=True)
class Rows:
    """Objects as rows of one output; see ``Layout``.

    Attributes:
        output: Name of the output.
        box: Columns of left, top, right and bottom.
        score: Column of the score.
        number: Column of the class.
    """

    name: str
    output: str
    box: tuple[int, ...] = _BOX
    score: int = 4
    number: int = 5
    classes: int | None = None
    threshold: float = 0.25
    preparation: Preparation = field(default_factory=Preparation)

    def read(
        self, outputs: Mapping[str, np.ndarray], size: tuple[int, int], threshold: float, columns: Sequence[int] | None
    ) -> Candidates:
        """Returns the rows above the threshold; see ``Layout.read``."""
        rows = outputs[self.output].reshape(-1, outputs[self.output].shape[-1]).astype(np.float64)
        return chosen(rows[:, self.box], rows[:, self.score], rows[:, self.number], threshold)


@dataclass(frozen=True)
class Parts:
    """Boxes, scores and classes as outputs of their own; see ``Layout``.

    Attributes:
        boxes: Name of the output with boxes.
        scores: Name of the output with scores.
        labels: Name of the output with classes.
        count: Name of the output with the number of objects, if there is one.
    """

    name: str
    boxes: str
    scores: str
    labels: str
    count: str = ""
    classes: int | None = None
    threshold: float = 0.25
    preparation: Preparation = field(default_factory=Preparation)

    def read(
        self, outputs: Mapping[str, np.ndarray], size: tuple[int, int], threshold: float, columns: Sequence[int] | None
    ) -> Candidates:
        """Returns the objects above the threshold; see ``Layout.read``."""
        boxes = outputs[self.boxes][0].astype(np.float64)
        stop = int(np.clip(outputs[self.count].ravel()[0], 0, len(boxes))) if self.count else len(boxes)
        return chosen(boxes[:stop], outputs[self.scores][0][:stop], outputs[self.labels][0][:stop], threshold)


def chosen(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, threshold: float) -> Candidates:
    """Returns the objects above a threshold, most confident first; those that hold NaN or infinity are left out."""
    scores, classes = scores.astype(np.float64), classes.astype(np.float64)
    finite = np.isfinite(boxes).all(axis=1) & np.isfinite(scores) & (np.abs(classes) < 2**31)
    rows = np.flatnonzero(finite & (np.where(finite, scores, 0) > threshold))
    rows = rows[np.argsort(-scores[rows], kind="stable")][:MOST]
    return Candidates(boxes[rows], scores[rows], classes[rows].astype(np.int64))


def recognise(network: Network) -> Rows | Parts | None:
    """Returns the layout of a network whose outputs are finished objects; None for any other."""
    shapes = {name: value.shape for name, value in network.outputs.items()}
    if set(shapes) == {"labels", "boxes", "scores"} and "orig_target_sizes" in network.inputs:
        plain = Preparation("stretch")
        return _parts("rtdetr", network, "boxes", "scores", "labels", preparation=plain, threshold=0.5)
    if set(shapes) >= {"num_dets", "det_boxes", "det_scores", "det_classes"}:
        return _parts("nms", network, "det_boxes", "det_scores", "det_classes", "num_dets")
    if not shapes:
        return None
    name, shape = next(iter(shapes.items()))
    if network.outputs[name].dtype.kind != "f":
        return None
    if "scale_factor" in network.inputs and len(shape) == 2 and shape[1] == 6:
        preparation = Preparation("stretch", mean=IMAGENET_MEAN, std=IMAGENET_STD)
        return Rows("paddle", name, (2, 3, 4, 5), 1, 0, preparation=preparation, threshold=0.5)
    if len(shape) == 2 and shape[1] == 7 and len(shapes) == 1:
        return Rows("yolov7_end2end", name, (1, 2, 3, 4), 6, 5)
    if len(shape) == 3 and shape[0] == 1 and shape[2] == 6 and (len(shapes) == 1 or _embedded(network)):
        names = network.names
        if names is None or len(names) not in (1, 2) or shape[1] <= 1000:
            corner = network.metadata.get("letterbox_pad", "center") != "center"
            return Rows("yolov10", name, preparation=Preparation(corner=corner))
    return None


def _embedded(network: Network) -> bool:
    """Returns whether libreyolo put suppression into the file; a second output then repeats the network's own."""
    return network.metadata.get("embedded_nms", network.metadata.get("nms", "")).lower() in ("true", "1")


def _parts(kind: str, network: Network, *names: str, **changes: object) -> Parts | None:
    boxes, scores, labels = (network.outputs[name] for name in names[:3])
    fits = boxes.ndim == 3 and boxes.shape[2] == 4 and scores.shape == labels.shape == boxes.shape[:2]
    numbers = boxes.dtype.kind == scores.dtype.kind == "f" and labels.dtype.kind in "iuf"
    return Parts(kind, *names, **changes) if fits and numbers and len(boxes) == 1 else None  # type: ignore[arg-type]
