"""A look into an ONNX file before it is opened: parts that could read other files or run foreign code.

An ONNX file is a protocol buffer: fields with a number and a value. Only the few fields that matter are read; weights
are skipped by their length, so that a large file takes a millisecond for some hundred nodes.
"""

from collections.abc import Iterator
from typing import NamedTuple

DOMAINS = frozenset({"", "ai.onnx", "com.microsoft"})
"""Origins of the operators that onnxruntime itself provides."""
_MAX_DEPTH = 16  # of graphs within graphs

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}


class _Model(NamedTuple):
    """Field numbers of ``ModelProto``."""

    graph: int = 7
    functions: int = 25


class _Graph(NamedTuple):
    """Field numbers of ``GraphProto``."""

    node: int = 1
    initializer: int = 5
    sparse_initializer: int = 15


class _Node(NamedTuple):
    """Field numbers of ``NodeProto`` and ``AttributeProto``."""

    op_type: int = 4
    attribute: int = 5
    domain: int = 7
    tensor: int = 5
    subgraph: int = 6
    tensors: int = 10
    subgraphs: int = 11
    sparse_tensor: int = 22
    sparse_tensors: int = 23


class _Tensor(NamedTuple):
    """Field numbers of ``TensorProto``."""

    external_data: int = 13
    data_location: int = 14


_MODEL, _GRAPH, _NODE, _TENSOR = _Model(), _Graph(), _Node(), _Tensor()


def fault_of(content: bytes) -> str | None:
    """Returns why an ONNX file must not be opened; None if it may be.

    Args:
        content: The file.
    """
    data = memoryview(content)
    try:
        graphs = 0
        for number, value in fields(data):
            if number == _MODEL.functions:
                return "it defines operators of its own"
            if number == _MODEL.graph and isinstance(value, memoryview):
                graphs += 1
                if (fault := _graph_fault(value, 0)) is not None:
                    return fault
    except (ValueError, IndexError):
        return "it is not an ONNX model"
    return None if graphs == 1 else "it is not an ONNX model"


def _graph_fault(graph: memoryview, depth: int) -> str | None:
    if depth > _MAX_DEPTH:
        return "its graphs are nested too deeply"
    for number, value in fields(graph):
        if number == _GRAPH.sparse_initializer:
            return "it holds sparse weights"
        if not isinstance(value, memoryview):
            continue
        fault = None
        if number == _GRAPH.initializer:
            fault = _tensor_fault(value)
        elif number == _GRAPH.node:
            fault = _node_fault(value, depth)
        if fault is not None:
            return fault
    return None


def _node_fault(node: memoryview, depth: int) -> str | None:
    for number, value in fields(node):
        if not isinstance(value, memoryview):
            continue
        if number == _NODE.domain and (domain := bytes(value).decode("utf-8", "replace")) not in DOMAINS:
            return f"it uses operators of {domain!r:.60}, which onnxruntime does not have"
        if number == _NODE.attribute and (fault := _attribute_fault(value, depth)) is not None:
            return fault
    return None


def _attribute_fault(attribute: memoryview, depth: int) -> str | None:
    for number, value in fields(attribute):
        if not isinstance(value, memoryview):
            continue
        fault = None
        if number in (_NODE.sparse_tensor, _NODE.sparse_tensors):
            fault = "it holds sparse weights"
        elif number in (_NODE.tensor, _NODE.tensors):
            fault = _tensor_fault(value)
        elif number in (_NODE.subgraph, _NODE.subgraphs):
            fault = _graph_fault(value, depth + 1)
        if fault is not None:
            return fault
    return None


def _tensor_fault(tensor: memoryview) -> str | None:
    for number, value in fields(tensor):
        if number == _TENSOR.external_data or (number == _TENSOR.data_location and value != 0):
            return "it keeps weights in another file"
    return None


def fields(data: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Yields number and value of each field: bytes, or an integer for numbers that matter.

    Raises:
        ValueError, IndexError: The data is not a protocol buffer.
    """
    place, end = 0, len(data)
    while place < end:
        key, place = _varint(data, place)
        kind, number = key & 7, key >> 3
        if kind == _VARINT:
            value, place = _varint(data, place)
            yield number, value
            continue
        size = _FIXED_SIZES.get(kind)
        if kind == _BYTES:
            size, place = _varint(data, place)
        if size is None or number == 0 or place + size > end:
            raise ValueError("not a protocol buffer")
        yield number, data[place : place + size] if kind == _BYTES else 0
        place += size


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
        if shift > 63:
            raise ValueError("not a protocol buffer")
