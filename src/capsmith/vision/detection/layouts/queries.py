"""DETR and its relatives as raw queries: one output of logits, one of boxes as fractions of the input.

Exports of transformers and optimum name them ``logits`` and ``pred_boxes``, RF-DETR's own ``labels`` and ``dets``,
libreyolo's ``pred_logits`` and ``pred_boxes``. Nothing in the file says how images are scaled or whether scores are a
softmax: the names, the number of columns and ``model_family`` tell.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from capsmith.vision.detection.candidates import Candidates
from capsmith.vision.detection.framing import IMAGENET_MEAN, IMAGENET_STD, Preparation
from capsmith.vision.detection.layouts.layout import Network
from capsmith.vision.detection.queries import decode_queries

_PLAIN = Preparation("stretch")
_NORMALIZED = Preparation("stretch", mean=IMAGENET_MEAN, std=IMAGENET_STD)
_PLAIN_FAMILIES = ("rt_detr", "rtdetr", "rt_detr_v2", "rtdetrv2", "rtdetrv4", "d_fine", "dfine", "deim")
_SOFTMAX_FAMILIES = ("detr", "yolos", "table-transformer")
_LOGITS, _BOXES = ("logits", "pred_logits", "labels"), ("pred_boxes", "boxes", "dets")


@dataclass(frozen=True)
class Queries:
    """Raw queries; see ``Layout``.

    Attributes:
        logits: Name of the output with logits.
        boxes: Name of the output with boxes.
        softmax: Whether a query's scores are a softmax whose last column means that it found nothing.
    """

    classes: int | None
    logits: str
    boxes: str
    softmax: bool
    preparation: Preparation
    name: str = "queries"
    threshold: float = field(default=0.5)

    def read(
        self, outputs: Mapping[str, np.ndarray], size: tuple[int, int], threshold: float, columns: Sequence[int] | None
    ) -> Candidates:
        """Returns the best queries; see ``Layout.read``."""
        if columns is None:
            columns = range(self.classes or 0)
        found = decode_queries(outputs[self.logits][0], outputs[self.boxes][0], threshold, self.softmax, columns)
        return found._replace(boxes=found.boxes * [size[1], size[0], size[1], size[0]])


def recognise(network: Network) -> Queries | None:
    """Returns the layout of a network that gives logits and boxes of queries; None for any other."""
    pair = _pair(network)
    if pair is None:
        return None
    logits, boxes = pair
    columns = network.outputs[logits].shape[2]
    softmax = _is_softmax(network, logits, columns)
    classes = columns - 1 if softmax else columns
    if network.names is not None and columns == len(network.names) + 1:
        classes = columns - 1  # RF-DETR's last column is never trained
    return Queries(classes, logits, boxes, softmax, _preparation(network, logits, columns, softmax))


def _pair(network: Network) -> tuple[str, str] | None:
    """Returns the names of the outputs with logits and boxes. Their names tell; three classes give four columns too."""
    by_name = [next((name for name in names if name in network.outputs), None) for names in (_LOGITS, _BOXES)]
    if None in by_name or by_name[0] == by_name[1]:
        return None
    logits, boxes = (network.outputs[name] for name in by_name if name is not None)
    if any(value.ndim != 3 or value.shape[0] != 1 or value.dtype.kind != "f" for value in (logits, boxes)):
        return None
    if logits.shape[1] != boxes.shape[1] or boxes.shape[2] != 4 or logits.shape[2] < 1:
        return None
    return str(by_name[0]), str(by_name[1])


def _is_softmax(network: Network, logits: str, columns: int) -> bool:
    if network.family:
        return network.family in _SOFTMAX_FAMILIES
    if logits == "labels":  # RF-DETR
        return False
    if network.names is not None:
        return columns == len(network.names) + 1
    return columns in (81, 92)


def _preparation(network: Network, logits: str, columns: int, softmax: bool) -> Preparation:
    if network.family:
        size = network.metadata.get("model_size", "")
        plain = network.family in _PLAIN_FAMILIES or (network.family == "deimv2" and size not in ("s", "m", "l", "x"))
        return _PLAIN if plain else _NORMALIZED
    if softmax or logits == "labels" or columns in (90, 91):  # DETR, YOLOS, RF-DETR, Deformable DETR
        return _NORMALIZED
    return _PLAIN
