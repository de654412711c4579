"""Outputs with a box and scores for each cell of a grid, which overlap and are suppressed class by class.

| name | row of a cell | who exports it |
|---|---|---|
| ``yolov8`` | 4 of a box, C scores | YOLOv8, v9 (also with its auxiliary head, which comes first), v11 |
| ``libreyolo`` | the same, a box by its corners | libreyolo: YOLOv9, v7, v4, v3, RTMDet, PicoDet |
| ``scored_queries`` | the same, as fractions of the input | RT-DETR of the program that exports YOLOv8 |
| ``yolov5`` | 4 of a box, confidence, C scores | YOLOv5, v7, and v6 |
| ``yolox`` | the same; blue first, 0–255, image in the corner | YOLOX, with boxes decoded or not |
| ``boxes_scores`` | boxes and scores apart | YOLO-NAS, PP-YOLOE |

A box is centre x, centre y, width and height in pixels of the input; libreyolo's and the separate boxes are left, top,
right and bottom. N cells · C classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from capsmith.vision.detection.candidates import MOST, Candidates, corners
from capsmith.vision.detection.framing import Preparation
from capsmith.vision.detection.layouts.families import family_of
from capsmith.vision.detection.layouts.layout import Network
from capsmith.vision.detection.nms import suppress

OVERLAP = 0.45
"""Intersection over union above which the less confident of two boxes of a class is suppressed."""
_STRIDES = (8, 16, 32)


@dataclass(frozen=True)
class Cells:
    """Rows of cells; see ``Layout``.

    Attributes:
        boxes: Name of the output with the boxes.
        scores: Name of the output with the scores, where they are apart.
        rows_first: Whether a cell is a row of the matrix, not a column.
        confidence: Whether the fifth number of a row is a confidence that multiplies the scores.
        corner_boxes: Whether boxes are left, top, right and bottom.
        fractions: Whether boxes are fractions of the input.
        raw: Whether boxes are to be decoded from cells, as YOLOX's.
        several: Whether a cell may hold several classes, not its best one only.
        overlap: None where the network needs no suppression.
    """

    name: str
    classes: int | None
    boxes: str
    scores: str = ""
    rows_first: bool = False
    confidence: bool = False
    corner_boxes: bool = False
    fractions: bool = False
    raw: bool = False
    several: bool = False
    overlap: float | None = OVERLAP
    preparation: Preparation = field(default_factory=Preparation)
    threshold: float = 0.25

    def read(
        self, outputs: Mapping[str, np.ndarray], size: tuple[int, int], threshold: float, columns: Sequence[int] | None
    ) -> Candidates:
        """Returns what is left after suppression; see ``Layout.read``."""
        matrix = _matrix(outputs[self.boxes], self.rows_first)
        boxes = matrix[:, :4].astype(np.float64)
        scores = _matrix(outputs[self.scores], True) if self.scores else matrix[:, 5 if self.confidence else 4 :]
        scores = scores.astype(np.float64) * (matrix[:, 4:5] if self.confidence else 1.0)
        if self.raw:
            boxes = _decoded(boxes, size)
        if not self.corner_boxes:
            boxes = corners(boxes)
        if self.fractions:
            boxes = boxes * [size[1], size[0], size[1], size[0]]
        return best_cells(boxes, scores, threshold, self.overlap, columns, self.several)


def _matrix(output: np.ndarray, rows_first: bool) -> np.ndarray:
    return output[0] if rows_first else output[0].T


def best_cells(
    boxes: np.ndarray,
    scores: np.ndarray,
    threshold: float,
    overlap: float | None,
    columns: Sequence[int] | None,
    several: bool = True,
) -> Candidates:
    """Returns the boxes above a threshold after suppression, most confident first.

    Args:
        boxes: (N, 4) left, top, right, bottom. Those that hold NaN or infinity are left out.
        scores: (N, C).
        threshold: Scores must exceed it.
        overlap: Largest intersection over union of two boxes of a class; None for no suppression.
        columns: The columns of the scores that stand for a class; None for all.
        several: Whether a cell may hold several classes, not its best one only.
    """
    columns = range(scores.shape[1]) if columns is None else columns
    scores = scores[:, list(columns)]
    with np.errstate(invalid="ignore"):
        rows, classes = np.nonzero(scores > threshold)
    if not several and len(rows):
        best = scores.argmax(axis=1)[rows] == classes
        rows, classes = rows[best], classes[best]
    finite = np.isfinite(boxes[rows]).all(axis=1) & np.isfinite(scores[rows, classes])
    rows, classes = rows[finite], classes[finite]
    found = Candidates(boxes[rows], scores[rows, classes], np.asarray(columns, np.int64)[classes])
    kept = suppress(*found, overlap) if overlap is not None else np.argsort(-found.scores, kind="stable")[:MOST]
    return Candidates(*(part[kept] for part in found))


def _decoded(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns YOLOX's boxes in pixels: offsets from a cell's corner and logarithms of sides, in strides."""
    cells, strides = [], []
    for stride in _STRIDES:
        down, across = np.meshgrid(np.arange(size[0] // stride), np.arange(size[1] // stride), indexing="ij")
        cells.append(np.stack([across.ravel(), down.ravel()], axis=1))
        strides.append(np.full((cells[-1].shape[0], 1), stride))
    stride_N1 = np.concatenate(strides)
    with np.errstate(over="ignore"):
        sides = np.exp(boxes[:, 2:]) * stride_N1
    return np.concatenate([(boxes[:, :2] + np.concatenate(cells)) * stride_N1, sides], axis=1)


def recognise(network: Network) -> Cells | None:
    """Returns the layout of a network whose outputs are cells; None for any other."""
    outputs = {name: value for name, value in network.outputs.items() if not _is_map(value.shape, network.size)}
    if len(outputs) == 2 and len({value.shape for value in outputs.values()}) > 1:
        return _separate(network)
    if not outputs or len(outputs) > 2:
        return None
    name, output = list(outputs.items())[-1]
    if output.ndim != 3 or output.shape[0] != 1 or output.dtype.kind != "f":
        return None
    return _joined(network, name, output)


def _is_map(shape: tuple[int, ...], size: tuple[int, int]) -> bool:
    """Returns whether an output is what a head computes for the cells of one stride, exported beside the boxes."""
    sides = [(size[0] // stride, size[1] // stride) for stride in _STRIDES]
    return len(shape) in (4, 5) and shape[2:4] in sides


def _joined(network: Network, name: str, output: np.ndarray) -> Cells | None:
    rows, columns = output.shape[1:]
    names = None if network.names is None else len(network.names)
    cells = _cells(network.size)
    first = _rows_first(rows, columns, names, cells)
    width = columns if first else rows
    if width < 5 or (names is not None and width not in (names + 4, names + 5)):
        return None
    confidence = width == names + 5 if names is not None else first and (width == 85 or rows == 3 * cells)
    if (family := family_of(network)) is not None:
        return Cells(
            "libreyolo",
            width - 4,
            name,
            rows_first=first,
            corner_boxes=True,
            several=family.several,
            overlap=OVERLAP if family.suppressed else None,
            preparation=family.preparation,
        )
    if not confidence:
        fractions = first and rows <= 1000 and bool(np.nanmax(np.abs(output[0, :, :4]), initial=0.0) <= 2)
        if fractions:  # queries, whose scores went through their sigmoid
            stretch = Preparation("stretch")
            return Cells(
                "scored_queries", width - 4, name, "", first, fractions=True, overlap=None, preparation=stretch
            )
        return Cells("yolov8", width - 4, name, "", first)
    if network.family == "yolox" or (
        not network.family and rows == cells and not (output[0, :, 4] == 1).all()
    ):  # v6: 1
        raw = bool((output[0, :, 2:4] <= 0).any())  # logarithms
        preparation = Preparation(corner=True, bgr=True, scale=1.0)
        return Cells("yolox", width - 5, name, "", first, True, raw=raw, preparation=preparation)
    return Cells("yolov5", width - 5, name, "", first, True)


def _rows_first(rows: int, columns: int, names: int | None, cells: int) -> bool:
    """Returns whether the second axis counts cells. The names tell, else the number of cells, else the longer axis."""
    if names is not None and (columns in (names + 4, names + 5)) != (rows in (names + 4, names + 5)):
        return columns in (names + 4, names + 5)
    if (rows in (cells, 3 * cells)) != (columns in (cells, 3 * cells)):
        return rows in (cells, 3 * cells)
    return rows > columns


def _cells(size: tuple[int, int]) -> int:
    return sum((size[0] // stride) * (size[1] // stride) for stride in _STRIDES)


def _separate(network: Network) -> Cells | None:
    if len(network.outputs) != 2 or any(v.ndim != 3 or v.dtype.kind != "f" for v in network.outputs.values()):
        return None
    (first, a), (second, b) = network.outputs.items()
    if a.shape[:2] != b.shape[:2] or a.shape[0] != 1 or {a.shape[2], b.shape[2]} == {4}:
        return None
    if a.shape[2] != 4:
        first, second, a, b = second, first, b, a
    if a.shape[2] != 4 or b.min(initial=0) < 0 or b.max(initial=0) > 1 or not _pixels(network, a):
        return None
    family = family_of(network)
    preparation, several = (family.preparation, family.several) if family else (Preparation(), False)
    return Cells("boxes_scores", b.shape[2], first, second, True, False, True, several=several, preparation=preparation)


def _pixels(network: Network, boxes: np.ndarray) -> bool:
    """Returns whether boxes are pixels, not fractions as queries': a grid's boxes reach beyond 2 somewhere."""
    return family_of(network) is not None or bool(np.abs(boxes).max(initial=0) > 2)
