"""ONNX files of true architectures with random weights, made by libreyolo (MIT), and its reading of their outputs."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

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
    from libreyolo import models

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


def read_by_libreyolo(
    path: Path, outputs: list[np.ndarray], image: tuple[int, int], size: tuple[int, int], threshold: float, iou: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns boxes, scores and classes as libreyolo reads a file's outputs.

    Args:
        path: The file.
        outputs: Its outputs for one image.
        image: Width and height of the image.
        size: Height and width of the input.
        threshold: Least score.
        iou: Largest overlap.
    """
    repair_torchvision()
    from libreyolo.backends.onnx import OnnxBackend

    backend = OnnxBackend(str(path), device="cpu")
    side = size[0] if size[0] == size[1] else size
    found = backend._postprocess(outputs, threshold, iou, image, input_size=side, max_det=300)
    return tuple(np.asarray(found[key]) for key in ("boxes", "scores", "classes"))  # type: ignore[return-value]
