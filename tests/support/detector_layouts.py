"""A detector's file for every known layout, all of which show the same two objects in an image of 120 x 100 pixels.

The files hold their outputs as constants. What they should say is written down here from the descriptions of the
layouts, with arithmetic of its own: nothing of capsmith is used.
"""

from collections.abc import Callable, Mapping

import numpy as np
import onnx
from onnx import TensorProto

from tests.support.onnx_files import constant_model

WIDTH, HEIGHT = 120, 100
"""Of the image."""
INPUT = 64, 96
"""Height and width of each network's input."""
NAMES = ("circle", "square", "triangle")
OBJECTS = ((1, 0.9, (30.0, 20.0, 70.0, 60.0)), (0, 0.6, (60.0, 40.0, 110.0, 90.0)))
"""What is found: number of the class, score and box in pixels of the image."""
_TWICE = (1, 0.7, (31.0, 20.0, 71.0, 61.0))  # the first object again: suppressed where a layout is suppressed
_CELLS = 8 * 12 + 4 * 6 + 2 * 3
_FLOAT, _HALF, _INT64 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT64
_STATED = {"names": str(dict(enumerate(NAMES)))}
_RATIO = min(INPUT[0] / HEIGHT, INPUT[1] / WIDTH)

Box = tuple[float, float, float, float]
Fit = Callable[[Box], Box]


def centred(box: Box) -> Box:
    """Returns a box in the input of a network that letterboxes images."""
    left, top = (INPUT[1] - WIDTH * _RATIO) / 2, (INPUT[0] - HEIGHT * _RATIO) / 2
    return (box[0] * _RATIO + left, box[1] * _RATIO + top, box[2] * _RATIO + left, box[3] * _RATIO + top)


def cornered(box: Box) -> Box:
    """Returns a box in the input of a network that puts images into the top left corner."""
    return (box[0] * _RATIO, box[1] * _RATIO, box[2] * _RATIO, box[3] * _RATIO)


def stretched(box: Box) -> Box:
    """Returns a box in the input of a network that does not keep the aspect ratio."""
    across, down = INPUT[1] / WIDTH, INPUT[0] / HEIGHT
    return (box[0] * across, box[1] * down, box[2] * across, box[3] * down)


def _centre(box: Box) -> list[float]:
    return [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1]]


def _table(count: int, width: int, fit: Fit, confidence: bool = False, by_corners: bool = False) -> np.ndarray:
    """Returns rows (count, width) of boxes and scores: the objects in some of them, nothing in the others."""
    rows = np.zeros((count, width), np.float32)
    rows[:, :4] = [10, 10, 4, 4]
    for place, (number, score, box) in zip((7, 40, 55), (*OBJECTS, _TWICE), strict=True):
        rows[place, :4] = fit(box) if by_corners else _centre(fit(box))
        rows[place, 4 + confidence + number] = score / 0.95 if confidence else score
        if confidence:
            rows[place, 4] = 0.95
    return rows


def _v8(rows: np.ndarray, stated: Mapping[str, str] | None = None, **changes: object) -> onnx.ModelProto:
    return constant_model({"output0": rows[None]}, metadata=stated, **changes)  # type: ignore[arg-type]


def _yolox_raw() -> onnx.ModelProto:
    """Boxes as offsets from their cell's corner and logarithms of sides, in strides; objects in cells of stride 16."""
    rows = np.zeros((_CELLS, 85), np.float32)
    for number, score, box in OBJECTS:
        x, y, width, height = _centre(cornered(box))
        across, down = int(x // 16), int(y // 16)
        place = 96 + down * 6 + across
        rows[place, :4] = [x / 16 - across, y / 16 - down, np.log(width / 16), np.log(height / 16)]
        rows[place, 4], rows[place, 5 + number] = 0.9, score / 0.9
    return _v8(rows)


def _nanodet(centre: float = 0.5, strides: tuple[int, ...] = (8, 16, 32), together: bool = False) -> onnx.ModelProto:
    """Distances as distributions over 8 bins, two of which share the weight; objects in cells of stride 16."""
    outputs, tables = {}, []
    for stride in strides:
        count = -(-INPUT[0] // stride) * -(-INPUT[1] // stride)
        scores, bins = np.full((count, 80), 0.01, np.float32), np.zeros((count, 4, 8), np.float32)
        if stride == 16:
            for number, score, box in OBJECTS:
                left, top, right, bottom = stretched(box)
                across, down = int((left + right) / 2 // 16), int((top + bottom) / 2 // 16)
                x, y, cell = (across + centre) * 16, (down + centre) * 16, down * 6 + across
                scores[cell, number] = score
                bins[cell] = -30
                for side, distance in enumerate((x - left, y - top, right - x, bottom - y)):
                    whole, part = divmod(distance / 16, 1)
                    bins[cell, side, int(whole)] = np.log(1 - part + 1e-9)
                    bins[cell, side, int(whole) + 1] = np.log(part + 1e-9)
        outputs[f"scores{stride}"], outputs[f"bins{stride}"] = scores[None], bins.reshape(1, count, 32)
        tables.append(np.concatenate([scores, bins.reshape(count, 32)], axis=1))
    if together:
        return constant_model({"output": np.concatenate(tables)[None]})
    return constant_model(dict(sorted(outputs.items(), reverse=True)))


def _two_heads() -> onnx.ModelProto:
    """YOLOv9 with the auxiliary head that trains it, which sees other objects; the main head comes second."""
    auxiliary = _table(_CELLS, 7, lambda box: (1, 1, 9, 9)).T
    main = _table(_CELLS, 7, centred).T
    return constant_model({"output0": auxiliary[None], "1900": main[None]}, metadata=_STATED)


def _with_maps() -> onnx.ModelProto:
    """YOLOv5 with the maps of its strides beside the boxes, as older programs export it."""
    maps = {f"map{s}": np.zeros((1, 3, INPUT[0] // s, INPUT[1] // s, 8), np.float32) for s in (8, 16, 32)}
    return constant_model({"output": _table(3 * _CELLS, 8, centred, True)[None], **maps}, metadata=_STATED)


def _yolov6() -> onnx.ModelProto:
    """A confidence that is always 1, and boxes in a letterbox."""
    rows = _table(_CELLS, 84, centred)
    return _v8(np.concatenate([rows[:, :4], np.ones((_CELLS, 1), np.float32), rows[:, 4:]], axis=1))


def _queries(columns: int, shift: int = 0, softmax: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Returns logits (1, 20, columns) and boxes as fractions; numbers of classes are moved up by ``shift``."""
    logits = np.full((20, columns), 0.0 if softmax else -8.0, np.float32)
    boxes = np.full((20, 4), 0.25, np.float32)
    if softmax:
        logits[:, -1] = 12.0
    for place, (number, score, box) in zip((3, 11), OBJECTS, strict=True):
        fractions = (box[0] / WIDTH, box[1] / HEIGHT, box[2] / WIDTH, box[3] / HEIGHT)
        boxes[place] = _centre(fractions)
        if softmax:  # the other columns share what is left
            logits[place] = 0.0
            logits[place, number + shift] = np.log(score / (1 - score) * (columns - 1))
        else:
            logits[place, number + shift] = np.log(score / (1 - score))
    return logits[None], boxes[None]


def _raw(
    names: tuple[str, str], columns: int, image: str = "images", family: str = "", **changes: int
) -> onnx.ModelProto:
    softmax = bool(changes.pop("softmax", 0))
    logits, boxes = _queries(columns, softmax=softmax, **changes)
    inputs = {image: (_FLOAT, (1, 3, *INPUT))}
    if softmax:
        inputs["pixel_mask"] = (_INT64, (1, 64, 64))
    return constant_model(
        dict(zip(names, (logits, boxes), strict=True)), inputs, {"model_family": family} if family else None
    )


def _finished(fit: Fit, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    boxes, scores, labels = np.zeros((1, count, 4), np.float32), np.zeros((1, count), np.float32), np.zeros((1, count))
    for place, (number, score, box) in enumerate(OBJECTS):
        boxes[0, place], scores[0, place], labels[0, place] = fit(box), score, number
    return boxes, scores, labels


def _rtdetr() -> onnx.ModelProto:
    boxes, scores, labels = _finished(stretched, 20)
    inputs = {"images": (_FLOAT, (1, 3, *INPUT)), "orig_target_sizes": (_INT64, (1, 2))}
    return constant_model({"labels": labels.astype(np.int64), "boxes": boxes, "scores": scores}, inputs)


def _nms() -> onnx.ModelProto:
    boxes, scores, labels = _finished(centred, 20)
    count = np.array([[2]], np.int32)
    return constant_model(
        {"num_dets": count, "det_boxes": boxes, "det_scores": scores, "det_classes": labels.astype(np.int32)}
    )


def _rows(order: str, fit: Fit, count: int = 20) -> np.ndarray:
    """Returns rows whose columns are ``b`` (four of a box), ``s`` score, ``c`` class and ``i`` image."""
    boxes, scores, labels = (part[0] for part in _finished(fit, count))
    columns = {"b": boxes, "s": scores[:, None], "c": labels[:, None], "i": np.zeros((count, 1))}
    return np.concatenate([columns[letter] for letter in order], axis=1).astype(np.float32)


def _paddle() -> onnx.ModelProto:
    inputs = {"image": (_FLOAT, (1, 3, *INPUT)), "scale_factor": (_FLOAT, (1, 2)), "im_shape": (_FLOAT, (1, 2))}
    return constant_model({"out": _rows("csb", stretched), "count": np.array([20], np.int32)}, inputs)


def _apart(names: tuple[str, str], fit: Fit, family: str) -> onnx.ModelProto:
    rows = _table(_CELLS, 84, fit, by_corners=True)
    boxes, scores = rows[None, :, :4], rows[None, :, 4:]
    return constant_model({names[0]: boxes, names[1]: scores}, metadata={"model_family": family})


def _scored() -> onnx.ModelProto:
    rows = _table(300, 84, lambda box: (box[0] / WIDTH, box[1] / HEIGHT, box[2] / WIDTH, box[3] / HEIGHT))
    rows[55, 4:] = 0
    rows[rows[:, 0] == 10, :4] = 0.1
    return _v8(rows)


def _of_libreyolo(family: str, fit: Fit, pad: str) -> onnx.ModelProto:
    stated = {"model_family": family, "letterbox_pad": pad, "names": '{"0": "circle", "1": "square", "2": "triangle"}'}
    rows = _table(_CELLS, 7, fit, by_corners=True)
    if family == "yolo9_e2e":
        rows[55, 4:] = 0
    return _v8(rows.T, stated)


LAYOUTS: dict[str, tuple[str, Callable[[], onnx.ModelProto]]] = {
    "YOLOv8, v9, v11": ("yolov8", lambda: _v8(_table(_CELLS, 7, centred).T, _STATED)),
    "YOLOv8, cells first": ("yolov8", lambda: _v8(_table(_CELLS, 7, centred), _STATED)),
    "YOLOv8, COCO's classes, nothing stated": ("yolov8", lambda: _v8(_table(_CELLS, 84, centred).T)),
    "YOLOv8, float16": (
        "yolov8",
        lambda: _v8(
            _table(_CELLS, 7, centred).T.astype(np.float16), _STATED, inputs={"images": (_HALF, (1, 3, *INPUT))}
        ),
    ),
    "YOLOv8, channels last": (
        "yolov8",
        lambda: _v8(_table(_CELLS, 7, centred).T, _STATED, inputs={"images": (_FLOAT, (1, *INPUT, 3))}),
    ),
    "YOLOv8, open axes": (
        "yolov8",
        lambda: _v8(
            _table(_CELLS, 7, centred).T,
            {**_STATED, "imgsz": "[64, 96]"},
            inputs={"images": (_FLOAT, ("batch", 3, "height", "width"))},
            shapes={"output0": ("batch", 7, "anchors")},
        ),
    ),
    "YOLOv9 with its auxiliary head": ("yolov8", _two_heads),
    "YOLOv8, whole numbers": (
        "yolov8",
        lambda: _v8(_table(_CELLS, 7, centred).T, _STATED, inputs={"images": (TensorProto.UINT8, (1, 3, *INPUT))}),
    ),
    "YOLOv5 with its maps": ("yolov5", _with_maps),
    "YOLOv6": ("yolov5", _yolov6),
    "YOLOv5, v7": ("yolov5", lambda: _v8(_table(3 * _CELLS, 8, centred, True), _STATED)),
    "YOLOv5, COCO's classes, nothing stated": ("yolov5", lambda: _v8(_table(3 * _CELLS, 85, centred, True))),
    "YOLOX": ("yolox", _yolox_raw),
    "YOLOX, decoded": ("yolox", lambda: _v8(_table(_CELLS, 85, cornered, True), {"model_family": "yolox"})),
    "YOLOv10 and others with suppression inside": ("yolov10", lambda: _v8(_rows("bsc", centred, 300))),
    "YOLOv7 with suppression inside": ("yolov7_end2end", lambda: constant_model({"output": _rows("ibcs", centred)})),
    "TensorRT's suppression": ("nms", _nms),
    "YOLO-NAS": ("boxes_scores", lambda: _apart(("pred_logits", "pred_boxes"), centred, "yolonas")),
    "PP-YOLOE": ("boxes_scores", lambda: _apart(("boxes", "scores"), stretched, "ppyoloe")),
    "PaddleDetection": ("paddle", _paddle),
    "NanoDet": ("nanodet", _nanodet),
    "NanoDet in one output": ("nanodet", lambda: _nanodet(together=True)),
    "NanoDet-Plus": ("nanodet", lambda: _nanodet(0.0, (8, 16, 32, 64), together=True)),
    "YOLOv9 of libreyolo": ("libreyolo", lambda: _of_libreyolo("yolo9", cornered, "topleft")),
    "YOLOv9 of libreyolo, centred": ("libreyolo", lambda: _of_libreyolo("yolo9", centred, "center")),
    "YOLOv9 without suppression": ("libreyolo", lambda: _of_libreyolo("yolo9_e2e", cornered, "topleft")),
    "RT-DETR, D-FINE, DEIM": ("rtdetr", _rtdetr),
    "RT-DETR, D-FINE of transformers": ("queries", lambda: _raw(("logits", "pred_boxes"), 80, "pixel_values")),
    "Deformable DETR": ("queries", lambda: _raw(("logits", "pred_boxes"), 91, "pixel_values", shift=1)),
    "DETR": ("queries", lambda: _raw(("logits", "pred_boxes"), 92, "pixel_values", shift=1, softmax=1)),
    "RF-DETR": ("queries", lambda: _raw(("labels", "dets"), 91, "input", shift=1)),
    "D-FINE of libreyolo": ("queries", lambda: _raw(("pred_logits", "pred_boxes"), 80, family="dfine")),
    "RT-DETR with scores": ("scored_queries", _scored),
}
"""By what exports it: the layout's name, and the file."""
