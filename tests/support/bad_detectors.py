"""Hostile and broken files that claim to be detectors. Each is refused in one line, or read without harm.

Those that are not marked ``refused`` may be read: what is found must then lie in the image.
"""

import gzip
import io
import os
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.support.onnx_files import constant_model, model_of, node, saved

CLASSES = 3
NAMES = "{0: 'circle', 1: 'square', 2: 'triangle'}"
MARKER = "EXECUTED"
"""A file of this name in the working folder means that code from a detector's file ran."""
CODE = f"__import__('pathlib').Path('{MARKER}').touch()"
_FLOAT = TensorProto.FLOAT


@dataclass(frozen=True)
class BadDetector:
    """A hostile or broken file.

    Attributes:
        name: What is wrong with it.
        make: Writes it into a folder and returns its path.
        refused: Whether it has no sensible reading.
    """

    name: str
    make: Callable[[Path], Path]
    refused: bool


def yolo_output(count: int = 84, classes: int = CLASSES) -> np.ndarray:
    """Returns an output of YOLOv8's layout (1, 4 + classes, count): one good box, all others of no confidence."""
    output = np.zeros((1, 4 + classes, count), np.float32)
    output[0, :4] = [[30.0], [30.0], [20.0], [20.0]]
    if classes:
        output[0, 4, 0] = 0.9
    return output


def plain(output: np.ndarray | None = None, **changes: object) -> onnx.ModelProto:
    """Returns a valid detector of YOLOv8's layout, or one with changes."""
    arguments: dict[str, object] = {"metadata": {"names": NAMES, "task": "detect", "stride": "32"}, **changes}
    return constant_model({"output0": yolo_output() if output is None else output}, **arguments)  # type: ignore[arg-type]


# --- not ONNX files ---------------------------------------------------------------------------------------------------


class _Executed:
    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return (eval, (CODE,))  # type: ignore[return-value]


def _bytes(content: Callable[[], bytes]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / "model.onnx"
        path.write_bytes(content())
        return path

    return make


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(_Executed()))
        archive.writestr("../outside.txt", "x")
    return buffer.getvalue()


def _folder(folder: Path) -> Path:
    (folder / "model.onnx").mkdir()
    return folder / "model.onnx"


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "model.onnx")
    return folder / "model.onnx"


def _link(target: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "model.onnx").symlink_to(target)
        return folder / "model.onnx"

    return make


def _missing(folder: Path) -> Path:
    return folder / "model.onnx"


def unreadable() -> list[BadDetector]:
    """Returns files that are no ONNX files."""
    whole = plain().SerializeToString
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"
    contents: dict[str, Callable[[], bytes]] = {
        "empty": lambda: b"",
        "half a file": lambda: whole()[: len(whole()) // 2],
        "without its last byte": lambda: whole()[:-1],
        "random bytes": lambda: np.random.default_rng(0).bytes(4096),
        "text": lambda: b"This is not a model.\n" * 50,
        "a web page": lambda: b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
        "a Git LFS pointer": lambda: pointer,
        "a pickle": lambda: pickle.dumps(_Executed()),
        "a zip with a pickle, as PyTorch saves": _zip,
        "compressed": lambda: gzip.compress(whole()),
        "groups within groups": lambda: b"\x0b" * 100_000,
        "a length beyond the end": lambda: b"\x3a\xff\xff\xff\xff\x7f" + whole(),
        "a graph twice": lambda: whole() + plain().SerializeToString(),
    }
    special = {
        "a folder": _folder,
        "a pipe": _pipe,
        "a device": _link("/dev/zero"),
        "a link to itself": _link("model.onnx"),
        "a link to nothing": _link("nowhere"),
        "missing": _missing,
    }
    made = [BadDetector(name, _bytes(content), True) for name, content in contents.items()]
    return made + [BadDetector(name, make, True) for name, make in special.items()]


# --- graphs that reach for more than their own data -------------------------------------------------------------------


def _external(location: str) -> onnx.ModelProto:
    model = plain()
    weight = model.graph.initializer[0]
    weight.data_location = TensorProto.EXTERNAL
    weight.ClearField("raw_data")
    for key, value in (("location", location), ("offset", "0"), ("length", "2352")):
        weight.external_data.add(key=key, value=value)
    return model


def _beside(folder: Path) -> Path:
    (folder / "weights.bin").write_bytes(yolo_output().tobytes())
    return saved(_external("weights.bin"), folder / "model.onnx")


def _above(folder: Path) -> Path:
    (folder / "inside").mkdir()
    (folder / "secret.bin").write_bytes(yolo_output().tobytes())
    return saved(_external("../secret.bin"), folder / "inside" / "model.onnx")


def _external_attribute() -> onnx.ModelProto:
    value = _external("/etc/passwd").graph.initializer[0]
    output = helper.make_tensor_value_info("output0", _FLOAT, [1, 7, 84])
    return model_of(helper.make_graph([node("Constant", [], ["output0"], value=value)], "g", _images(), [output]))


def _nested(depth: int) -> bytes:
    """Returns a model of branches within each other, written by hand: onnx itself refuses to nest so deeply."""
    graph = _leaf().SerializeToString()
    for _ in range(depth):
        branch = _field(1, b"then_branch") + _field(6, graph) + b"\xa0\x01\x05"
        graph = _field(1, _field(4, b"If") + _field(5, branch)) + _field(2, b"level")
    return b"\x08\x08" + _field(7, graph)


def _field(number: int, content: bytes) -> bytes:
    size, length = len(content), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def _in_branches(depth: int, inner: onnx.NodeProto) -> onnx.ModelProto:
    output = helper.make_tensor_value_info("output0", _FLOAT, None)
    graph = helper.make_graph([inner], "inner", [], [output])
    yes = numpy_helper.from_array(np.array(True), "yes")
    for number in range(depth):
        branch = node("If", ["yes"], ["output0"], then_branch=graph, else_branch=graph if number < 2 else _leaf())
        graph = helper.make_graph([branch], f"level{number}", [], [output])
    outer = helper.make_graph(list(graph.node), "outer", _images(), [output], [yes])
    return model_of(outer)


def _leaf() -> onnx.GraphProto:
    value = numpy_helper.from_array(yolo_output(), "leaf")
    output = helper.make_tensor_value_info("output0", _FLOAT, None)
    return helper.make_graph([node("Constant", [], ["output0"], value=value)], "leaf", [], [output])


def _constant() -> onnx.NodeProto:
    return node("Constant", [], ["output0"], value=numpy_helper.from_array(yolo_output(), "v"))


def _images(kind: int = _FLOAT, shape: tuple[int | str, ...] = (1, 3, 64, 96)) -> list[onnx.ValueInfoProto]:
    return [helper.make_tensor_value_info("images", kind, list(shape))]


def _graph(nodes: list[onnx.NodeProto], *weights: onnx.TensorProto, shape: tuple[int, ...] | None = (1, 7, 84)):
    output = helper.make_tensor_value_info("output0", _FLOAT, shape)
    return model_of(helper.make_graph(nodes, "g", _images(), [output], list(weights)), {"names": NAMES})


def _functions() -> onnx.ModelProto:
    model = _graph([helper.make_node("Own", [], ["output0"], domain="own")])
    model.opset_import.append(helper.make_opsetid("own", 1))
    model.functions.append(helper.make_function("own", "Own", [], ["output0"], [_constant()], model.opset_import[:1]))
    return model


def _of_domain(domain: str, kind: str) -> onnx.ModelProto:
    model = _graph([helper.make_node(kind, ["images"], ["output0"], domain=domain)])
    model.opset_import.append(helper.make_opsetid(domain, 1))
    return model


def _sparse() -> onnx.ModelProto:
    model = plain()
    values = numpy_helper.from_array(np.ones(1, np.float32), "sparse")
    places = numpy_helper.from_array(np.zeros(1, np.int64), "places")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [2**40]))
    return model


def _loop() -> onnx.ModelProto:
    body = helper.make_graph(
        [node("Identity", ["going"], ["still"]), node("Identity", ["state"], ["next"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", _FLOAT, [1, 7, 84]),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", _FLOAT, [1, 7, 84]),
        ],
    )
    trips = numpy_helper.from_array(np.array(2**62, np.int64), "trips")
    yes = numpy_helper.from_array(np.array(True), "yes")
    start = numpy_helper.from_array(yolo_output(), "start")
    mean = node("ReduceMean", ["images"], ["mean"], keepdims=0)  # depends on the image: not folded when opened
    begun = node("Add", ["start", "mean"], ["begun"])
    return _graph([mean, begun, node("Loop", ["trips", "yes", "begun"], ["output0"], body=body)], trips, yes, start)


def _expanding(sides: list[int]) -> onnx.ModelProto:
    shape = numpy_helper.from_array(np.array(sides, np.int64), "shape")
    mean = node("ReduceMean", ["images"], ["mean"], keepdims=0)
    return _graph([mean, node("Expand", ["mean", "shape"], ["output0"])], shape, shape=None)


def _claiming(sides: list[int]) -> onnx.ModelProto:
    model = plain()
    model.graph.initializer[0].ClearField("dims")
    model.graph.initializer[0].dims.extend(sides)
    return model


def _cycle() -> onnx.ModelProto:
    return _graph(
        [node("Identity", ["b"], ["a"]), node("Identity", ["a"], ["b"]), node("Identity", ["a"], ["output0"])]
    )


def _mismatch() -> onnx.ModelProto:
    shape = numpy_helper.from_array(np.array([1, 7, 84], np.int64), "shape")
    return _graph([node("Reshape", ["images", "shape"], ["output0"])], shape)


def _many_nodes() -> onnx.ModelProto:
    names = ["images", *[f"v{i}" for i in range(20_000)]]
    nodes = [node("Neg", [a], [b]) for a, b in zip(names, names[1:], strict=False)]
    return _graph([*nodes, _constant()])


def _optional_sequence() -> onnx.ModelProto:
    output = helper.make_tensor_sequence_value_info("output0", _FLOAT, None)
    make = node("SequenceConstruct", ["images"], ["output0"])
    return model_of(helper.make_graph([make], "g", _images(), [output]))


def _named_twice() -> onnx.ModelProto:
    model = plain()
    model.graph.output.append(model.graph.output[0])
    return model


def reaching() -> list[BadDetector]:
    """Returns graphs that reach for other files, foreign code, or more memory and time than there is."""
    models: dict[str, tuple[Callable[[], onnx.ModelProto], bool]] = {
        "weights at an absolute path": (lambda: _external("/etc/passwd"), True),
        "weights in a device": (lambda: _external("/dev/zero"), True),
        "weights at a path with a zero byte": (lambda: _external("a\0b"), True),
        "external weights in an attribute": (_external_attribute, True),
        "external weights in a branch": (lambda: _in_branches(1, _external_attribute().graph.node[0]), True),
        "operators of its own": (_functions, True),
        "operators of another library": (lambda: _of_domain("evil.ops", "Run"), True),
        "operators that run Python": (lambda: _of_domain("ai.onnx.contrib", "PyOp"), True),
        "an operator that does not exist": (lambda: _graph([node("RunShell", ["images"], ["output0"])]), True),
        "sparse weights of 2^40 numbers": (_sparse, True),
        "a loop without end": (_loop, True),
        "an output of 400 GB": (lambda: _expanding([1, 84, 1_250_000_000]), True),
        "an output of 2^62 numbers": (lambda: _expanding([2**31, 2**31]), True),
        "weights that claim 2^40 numbers": (lambda: _claiming([2**20, 2**20]), True),
        "weights of negative size": (lambda: _claiming([-1, 7, 84]), True),
        "weights whose size overflows": (lambda: _claiming([2**32, 2**32, 16]), True),
        "operators in a circle": (_cycle, True),
        "sizes that do not fit": (_mismatch, True),
        "20,000 operators": (_many_nodes, False),
        "an output that is a sequence": (_optional_sequence, True),
        "an output named twice": (_named_twice, False),
        "operators of the future": (lambda: plain(opset=999), True),
        "a format of the future": (lambda: plain(ir_version=9999), True),
    }
    made = [
        BadDetector("weights in a file beside it", _beside, True),
        BadDetector("weights in a file above it", _above, True),
        BadDetector("a thousand branches within each other", _bytes(lambda: _nested(1000)), True),
    ]
    return made + [BadDetector(name, _saving(model), refused) for name, (model, refused) in models.items()]


def _saving(model: Callable[[], onnx.ModelProto]) -> Callable[[Path], Path]:
    return lambda folder: saved(model(), folder / "model.onnx")
