"""ONNX files of true architectures with random weights, made by libreyolo (MIT), and its reading of their outputs."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from PIL import Image

from capsmith.vision.detection.candidates import found
from capsmith.vision.detection.layouts.cells import Cells
from capsmith.vision.detection.onnx_detector import OnnxDetector

ARCHITECTURES = {
    "yolo9": ("LibreYOLO9", "t", 128),
    "yolo9_e2e": ("LibreYOLO9E2E", "t", 128),
    "yolo9_p2": ("LibreYOLO9P2", "t", 128),
    "yolox": ("LibreYOLOX", "n", 128),
    "yolo3": ("LibreYOLO3", "t", 128),
    "yolo4": ("LibreYOLO4", "t", 128),
    "yolo7": ("LibreYOLO7", "b", 128),
    "yolonas": ("LibreYOLONAS", "s", 128),
    "ppyoloe": ("LibrePPYOLOE", "s", 128),
    "picodet": ("LibrePICODET", "s", 128),
    "rtmdet": ("LibreRTMDet", "t", 128),
    "detr": ("LibreDETR", "r50", None),
    "lwdetr": ("LibreLWDETR", "t", None),
    "rfdetr": ("LibreRFDETR", "n", None),
    "rtdetr": ("LibreRTDETR", "r18", 640),
    "rtdetrv2": ("LibreRTDETRv2", "r18", 640),
    "dfine": ("LibreDFINE", "n", 256),
    "deim": ("LibreDEIM", "n", 256),
    "deimv2": ("LibreDEIMv2", "n", 256),
    "ec": ("LibreEC", "s", 320),
}
"""By libreyolo's name of a family: its class, the smallest size, and the side of the input; None for its own."""


def repair_torchvision() -> None:
    """Makes torchvision importable where its compiled part does not fit torch."""
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _KEPT.append(library)
    logging.getLogger("libreyolo").setLevel(logging.ERROR)


_KEPT: list[Any] = []  # operators vanish with their library


def export(family: str, folder: Path) -> Path:
    """Exports an architecture with random weights; needs torch. Takes seconds to a minute."""
    repair_torchvision()
    import libreyolo
    import torch
    from libreyolo import models

    torch.manual_seed(0)

    name, size, side = ARCHITECTURES[family]
    with warnings.catch_warnings(), _without_downloads():
        warnings.simplefilter("ignore")
        source = {} if family == "rfdetr" else None  # no weights, so that none are downloaded
        model = (getattr(models, name, None) or getattr(libreyolo, name))(source, size=size)
        path = folder / f"{family}.onnx"
        options = {} if side is None else {"imgsz": side}
        return Path(model.export(format="onnx", output_path=str(path), simplify=False, **options))


@contextmanager
def _without_downloads() -> Iterator[None]:
    """Leaves random weights where libreyolo would download pretrained ones."""
    import torch

    def nothing(*args: Any, **kwargs: Any) -> dict[str, Any]:
        return {}

    with (
        patch("torch.hub.load_state_dict_from_url", nothing),
        patch.object(torch.nn.Module, "load_state_dict", _lenient(torch.nn.Module.load_state_dict)),
    ):
        yield


def _lenient(load: Any) -> Any:
    def loaded(self: Any, state: Any, *args: Any, **kwargs: Any) -> Any:
        return load(self, state, *args, **kwargs) if state else None

    return loaded


@dataclass(frozen=True)
class Agreement:
    """How a file's outputs are read here and by libreyolo.

    Attributes:
        layout: The layout as which it was recognized.
        objects: How many objects libreyolo finds.
        surplus: How many more, or fewer, are found here.
        box: Largest difference of a box's side in pixels; infinite if an object is not found here.
        score: Largest difference of a score.
    """

    layout: str
    objects: int
    surplus: int
    box: float
    score: float


def agreement(path: Path) -> Agreement:
    """Reads the outputs of a file of libreyolo for an image of noise in both ways. Boxes are not suppressed.

    Random weights score every cell alike: scores of cells are replaced by random ones, of which some are high.
    """
    detector = OnnxDetector(path)
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (225, 300, 3), np.uint8))
    size, layout = detector._inputs.size, detector.layout
    pixels, window = layout.preparation.prepared(image, size)
    outputs = detector._computed(pixels)
    if isinstance(layout, Cells):
        outputs = _rescored(layout, outputs)
        layout = replace(layout, overlap=None if layout.overlap is None else 1.0)
    scores = np.sort(layout.read(outputs, size, 0.0, detector._columns).scores)[::-1]
    ranked = np.append(scores[40:120] if len(scores) > 60 else scores, 0.0)
    gap = int((ranked[:-1] - ranked[1:]).argmax())  # within rounding, scores beside the threshold would differ
    threshold = float(ranked[gap] + ranked[gap + 1]) / 2
    candidates = layout.read(outputs, size, threshold, detector._columns)
    boxes = window.undone(candidates.boxes)
    mine = found(candidates._replace(boxes=boxes), detector._labels, *image.size).objects
    labels = list(detector.labels)
    numbers = [labels.index(each.label) for each in mine]
    ours = np.array([[*each.box, each.score] for each in mine]).reshape(-1, 5), np.array(numbers)
    boxes, scores, theirs = _read_by_libreyolo(path, list(outputs.values()), image.size, size, threshold)
    box, score = 0.0, 0.0
    for side, value, number in zip(boxes, scores, theirs, strict=True):  # its nearest of the same class and score
        away = np.abs(ours[0] - [*side, value])
        away[(ours[1] != number) | (away[:, 4] > 1e-5)] = np.inf
        nearest = away[:, :4].max(axis=1).argmin() if len(away) else 0
        box, score = max(box, away[nearest, :4].max()), max(score, away[nearest, 4])
    return Agreement(layout.name, len(theirs), len(mine) - len(theirs), float(box), float(score))


def _rescored(layout: Cells, outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    random, name, classes = np.random.default_rng(0), layout.scores or layout.boxes, layout.classes or 0
    changed = outputs[name].copy()
    rows = changed[0] if layout.rows_first or layout.scores else changed[0].T
    rows[:, -classes:] = random.uniform(0, 0.01, (len(rows), classes))
    if layout.corner_boxes and not layout.scores and (rows[:, 2] <= rows[:, 0]).mean() > 0.9:  # RTMDet's have no size
        rows[:, :2] = random.uniform(0, 64, (len(rows), 2))
        rows[:, 2:4] = rows[:, :2] + random.uniform(1, 64, (len(rows), 2))
    some = random.choice(len(rows), 80, replace=False)
    rows[some, rows.shape[1] - classes + random.integers(0, classes, 80)] = random.uniform(0.3, 0.9, 80)
    return {**outputs, name: changed}


def _read_by_libreyolo(
    path: Path, outputs: list[np.ndarray], image: tuple[int, int], size: tuple[int, int], threshold: float
) -> tuple[np.ndarray, ...]:
    """Returns boxes, scores and classes as libreyolo reads outputs for an image (width, height), not suppressed."""
    repair_torchvision()
    from libreyolo.backends.onnx import OnnxBackend

    backend = OnnxBackend(str(path), device="cpu")
    side = size[0] if size[0] == size[1] else size
    read = backend._postprocess(outputs, threshold, 2.0, image, input_size=side, max_det=300)
    boxes, scores, numbers = (np.asarray(read[key]) for key in ("boxes", "scores", "classes"))
    boxes = np.clip(boxes, 0, [*image, *image])
    inside = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return boxes[inside], scores[inside], numbers[inside]
