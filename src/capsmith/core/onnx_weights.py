"""Reads the constants of an ONNX file without the onnx package: float32, and float16 or int8 as exports store them.

An export stores a large constant ``x`` as ``x/float16``, or as ``x/int8`` times ``x/scale``.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from capsmith.core.errors import CheckpointError
from capsmith.core.onnx_graph import fault_of, fields

_MODEL_GRAPH, _GRAPH_INITIALIZER = 7, 5
_TYPES: dict[int, np.dtype] = {1: np.dtype("<f4"), 3: np.dtype("i1"), 10: np.dtype("<f2")}  # of TensorProto.DataType
_MOST_AXES = 8


class _Tensor(NamedTuple):
    """Field numbers of ``TensorProto``."""

    dims: int = 1
    data_type: int = 2
    name: int = 8
    raw_data: int = 9


_TENSOR = _Tensor()


def read_weights(content: bytes, path: Path) -> dict[str, np.ndarray]:
    """Returns the constants of real numbers of an ONNX file by name, as float32.

    Args:
        content: The file.
        path: Its path, for messages.

    Raises:
        CheckpointError: The file is damaged.
    """
    if (fault := fault_of(content)) is not None:
        raise CheckpointError(f"{path} cannot be used: {fault}; export the run again")
    try:
        stored = dict(
            constant
            for number, graph in fields(memoryview(content))
            if number == _MODEL_GRAPH and isinstance(graph, memoryview)
            for inner, tensor in fields(graph)
            if inner == _GRAPH_INITIALIZER
            and isinstance(tensor, memoryview)
            and (constant := _constant(tensor)) is not None
        )
        return _restored(stored)
    except (ValueError, IndexError) as error:
        raise CheckpointError(f"{path} is damaged: {error}; export the run again") from error


def _constant(tensor: memoryview) -> tuple[str, np.ndarray] | None:
    """Returns name and array of a constant; None for other types, such as shapes."""
    dims: list[int] = []
    kind, name, raw = 0, "", None
    for number, value in fields(tensor):
        if number == _TENSOR.dims:
            dims += [value] if isinstance(value, int) else _packed(value)
        elif number == _TENSOR.data_type and isinstance(value, int):
            kind = value
        elif number == _TENSOR.name and isinstance(value, memoryview):
            name = bytes(value).decode("utf-8", "replace")
        elif number == _TENSOR.raw_data and isinstance(value, memoryview):
            raw = value
    if kind not in _TYPES or raw is None or len(dims) > _MOST_AXES:
        return None
    size = 1
    for side in dims:
        size *= side
    if size * _TYPES[kind].itemsize != len(raw):
        raise ValueError(f"the constant {name!r:.60} has {len(raw):,} bytes, which do not fit its shape {dims}")
    return name, np.frombuffer(raw, _TYPES[kind]).reshape(dims)


def _packed(value: memoryview) -> list[int]:
    """Returns the integers of a packed field."""
    return [number for _, number in fields(memoryview(_as_fields(bytes(value)))) if isinstance(number, int)]


def _as_fields(packed: bytes) -> bytes:
    """Returns packed integers as fields of their own, with the key of field 1."""
    result, start = bytearray(), True
    for byte in packed:
        if start:
            result.append(1 << 3)
        result.append(byte)
        start = byte < 128
    return bytes(result)


def _restored(stored: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns constants under the names that they had before they were stored in fewer bytes."""
    weights: dict[str, np.ndarray] = {}
    for key, array in stored.items():
        name, _, form = key.rpartition("/")
        if form == "int8" and array.dtype == np.int8:
            scale = stored.get(f"{name}/scale")
            if scale is None or scale.ndim != array.ndim:
                raise ValueError(f"the constant {name!r:.60} has no scale")
            weights[name] = array.astype(np.float32) * scale.astype(np.float32)
        elif form == "float16" and array.dtype == np.float16:
            weights[name] = array.astype(np.float32)
        elif array.dtype != np.int8 and not (form == "scale" and f"{name}/int8" in stored):
            weights[key] = array.astype(np.float32)
    return weights
