"""Detectors with wrong inputs, outputs or properties: what stands in an ONNX file that opens well."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto

from tests.support.bad_detectors import CLASSES, CODE, NAMES, BadDetector, plain, reaching, unreadable, yolo_output
from tests.support.onnx_files import constant_model, saved

_FLOAT, _INT64 = TensorProto.FLOAT, TensorProto.INT64
_GOOD = (_FLOAT, (1, 3, 64, 96))


def bad_detectors() -> list[BadDetector]:
    """Returns every hostile or broken file."""
    kinds = (_inputs(), _outputs(), _numbers(), _names(), _transformers())
    made = [BadDetector(name, _saving(model), refused) for kind in kinds for name, (model, refused) in kind.items()]
    return [*unreadable(), *reaching(), *made]


_Models = dict[str, tuple[Callable[[], onnx.ModelProto], bool]]


def _saving(model: Callable[[], onnx.ModelProto]) -> Callable[[Path], Path]:
    return lambda folder: saved(model(), folder / "model.onnx")


def _inputs() -> _Models:
    def of(kind: int, *shape: int | str) -> Callable[[], onnx.ModelProto]:
        return lambda: plain(inputs={"images": (kind, shape)})

    return {
        "strings as input": (of(TensorProto.STRING, 1, 3, 64, 96), True),
        "complex numbers as input": (of(TensorProto.COMPLEX64, 1, 3, 64, 96), True),
        "booleans as input": (of(TensorProto.BOOL, 1, 3, 64, 96), True),
        "float64 as input": (of(TensorProto.DOUBLE, 1, 3, 64, 96), False),
        "bytes as input": (of(TensorProto.UINT8, 1, 3, 64, 96), False),
        "an input of 2^31 pixels a side": (of(_FLOAT, 1, 3, 2**31, 2**31), True),
        "an input of 200,000 pixels a side": (of(_FLOAT, 1, 3, 200_000, 200_000), True),
        "an input of no pixels": (of(_FLOAT, 1, 3, 0, 0), True),
        "an input of negative size": (of(_FLOAT, 1, 3, -64, -96), False),
        "an input of 17 channels": (of(_FLOAT, 1, 17, 64, 96), True),
        "an input of one axis": (of(_FLOAT, 64), True),
        "an input of seven axes": (of(_FLOAT, 1, 1, 1, 1, 3, 64, 96), True),
        "a batch of 64": (of(_FLOAT, 64, 3, 64, 96), True),
        "no input": (lambda: plain(inputs={}), True),
        "twelve inputs": (lambda: plain(inputs={f"images{i}": _GOOD for i in range(12)}), True),
        "a second input without a meaning": (lambda: plain(inputs={"images": _GOOD, "key": (_INT64, (1, 5))}), True),
    }


def _outputs() -> _Models:
    def of(*shape: int, **changes: object) -> Callable[[], onnx.ModelProto]:
        return lambda: plain(np.zeros(shape, np.float32), **changes)

    return {
        "no output": (lambda: constant_model({}), True),
        "an output of one number": (of(), True),
        "an output of one axis": (of(84), True),
        "an output of seven axes": (of(1, 1, 1, 1, 1, 7, 84), True),
        "a classifier's output": (of(1, 1000), True),
        "boxes without classes": (of(1, 4, 84, metadata={}), True),
        "boxes of three numbers": (of(1, 3, 84, metadata={}), True),
        "no boxes": (of(1, 7, 0), False),
        "two images' boxes": (of(2, 7, 84), True),
        "integers as output": (lambda: plain(np.zeros((1, 7, 84), np.int64)), True),
        "strings as output": (lambda: plain(np.array([["person"] * 84] * 7, object)[None]), True),
        "an output of another shape than stated": (of(1, 9, 5, shapes={"output0": (1, 7, 84)}), True),
        "open axes that turn out wrong": (of(1, 2, 3, shapes={"output0": ("a", "b", "c")}), True),
        "200 outputs": (
            lambda: constant_model({f"o{i}": np.zeros((1, 7, 84), np.float32) for i in range(200)}),
            True,
        ),
    }


def _filled(count: int = 84, box: float = 30.0, size: float = 20.0, score: float = 0.9) -> np.ndarray:
    output = yolo_output(count)
    output[0, :2], output[0, 2:4], output[0, 4:] = box, size, score
    return output


def _crowd(count: int) -> np.ndarray:
    """Boxes that do not overlap much, each above any threshold: the worst for suppression."""
    random = np.random.default_rng(0)
    output = _filled(count)
    output[0, :2], output[0, 2:4] = random.uniform(0, 64, (2, count)), random.uniform(0.5, 4, (2, count))
    return output


def _numbers() -> _Models:
    values: dict[str, Callable[[], np.ndarray]] = {
        "NaN everywhere": lambda: np.full((1, 7, 84), np.nan, np.float32),
        "infinity everywhere": lambda: np.full((1, 7, 84), np.inf, np.float32),
        "NaN boxes of good confidence": lambda: _filled(box=np.nan),
        "infinite boxes": lambda: _filled(size=np.inf),
        "boxes far outside": lambda: _filled(box=1e30),
        "boxes of negative size": lambda: _filled(size=-20.0),
        "boxes of no size": lambda: _filled(size=0.0),
        "the largest numbers": lambda: _filled(box=3e38, size=3e38),
        "confidence of 300": lambda: _filled(score=300.0),
        "negative confidence": lambda: _filled(score=-5.0),
        "100,000 boxes above the threshold": lambda: _crowd(100_000),
        "two million boxes above the threshold": lambda: _filled(2_000_000),
        "40,000 classes": lambda: yolo_output(84, 40_000),
    }
    return {name: (partial(_with_output, value), False) for name, value in values.items()}


def _with_output(value: Callable[[], np.ndarray]) -> onnx.ModelProto:
    output = value()
    return plain(output, metadata={"names": NAMES} if output.shape[1] == 4 + CLASSES else {})


def _names() -> _Models:
    properties: dict[str, tuple[dict[str, str], bool]] = {
        "names that are code": ({"names": CODE}, False),
        "names that call code within a dict": ({"names": f"{{0: {CODE}, 1: 'b', 2: 'c'}}"}, False),
        "names of 30 MB": ({"names": "{0: '" + "a" * 30_000_000 + "', 1: 'b', 2: 'c'}"}, False),
        "names in 100,000 brackets": ({"names": "[" * 100_000}, False),
        "names as a large product": ({"names": "['a'] * 10**10"}, False),
        "names with 100,000 signs": ({"names": "-" * 100_000 + "1"}, False),
        "too few names": ({"names": "{0: 'circle'}"}, False),
        "too many names": ({"names": str({i: f"c{i}" for i in range(500)})}, False),
        "gaps between names": ({"names": "{0: 'a', 5: 'b', 1000000000: 'c'}"}, False),
        "negative numbers of names": ({"names": "{-1: 'a', -2: 'b', -3: 'c'}"}, False),
        "names that are numbers": ({"names": "{0: 1, 1: None, 2: [3]}"}, False),
        "names that control the terminal": ({"names": "{0: 'a\\x1b[2J\\n\\u202e', 1: '', 2: 'c'}"}, False),
        "names in broken JSON": ({"names": '{"0": "circle", "1": '}, False),
        "an image size of a billion": ({"names": NAMES, "imgsz": "[1000000000, 1000000000]"}, False),
        "an image size that is code": ({"names": NAMES, "imgsz": CODE}, False),
        "a stride of nothing": ({"names": NAMES, "stride": "0", "task": "\x1b[2J"}, False),
        "100,000 properties": ({f"key{i}": "v" for i in range(100_000)}, False),
        "another task": ({"names": NAMES, "task": "classify"}, False),
    }
    return {
        name: ((lambda given=given: plain(metadata=given)), refused) for name, (given, refused) in properties.items()
    }


def _transformers() -> _Models:
    """DETR-like detectors: raw queries, and exports that give finished boxes."""
    both = {"images": _GOOD, "orig_target_sizes": (_INT64, (1, 2))}
    labels, scores = np.zeros((1, 5), np.int64), np.full((1, 5), 0.9, np.float32)
    boxes = np.tile(np.array([4, 4, 30, 30], np.float32), (1, 5, 1))

    def finished(**changes: np.ndarray) -> Callable[[], onnx.ModelProto]:
        return lambda: constant_model({"labels": labels, "boxes": boxes, "scores": scores, **changes}, both)

    def queries(logits: np.ndarray, centres: np.ndarray) -> Callable[[], onnx.ModelProto]:
        outputs = {"logits": logits.astype(np.float32), "pred_boxes": centres.astype(np.float32)}
        return lambda: constant_model(outputs, metadata={"names": NAMES} if logits.shape[2] == CLASSES else None)

    sizes_as_floats = {"images": _GOOD, "orig_target_sizes": (_FLOAT, (1, 2))}
    return {
        "classes far beyond the names": (finished(labels=labels + 10**12), False),
        "classes below zero": (finished(labels=labels - 7), False),
        "finished boxes of NaN": (finished(boxes=boxes * np.nan), False),
        "fewer scores than boxes": (finished(scores=scores[:, :2]), True),
        "no finished boxes": (finished(labels=labels[:, :0], boxes=boxes[:, :0], scores=scores[:, :0]), False),
        "sizes of images as floats": (
            lambda: constant_model({"labels": labels, "boxes": boxes, "scores": scores}, sizes_as_floats),
            True,
        ),
        "queries of NaN": (queries(np.full((1, 5, 80), np.nan), np.full((1, 5, 4), 0.5)), False),
        "queries of infinity": (queries(np.full((1, 5, 80), np.inf), np.full((1, 5, 4), -np.inf)), False),
        "more boxes than queries": (queries(np.zeros((1, 5, 80)), np.zeros((1, 9, 4))), True),
        "queries without classes": (queries(np.zeros((1, 5, 0)), np.zeros((1, 5, 4))), True),
        "a million queries": (queries(np.full((1, 1_000_000, 3), 9.0), np.full((1, 1_000_000, 4), 0.5)), False),
    }
