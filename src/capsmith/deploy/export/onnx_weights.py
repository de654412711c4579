"""Stores the weights of ONNX files in fewer bytes; onnxruntime turns them back into float32 when it loads the file.

C output channels.

Computation stays in float32, so these files run everywhere, at the same speed, and an image's result does not depend on
its batch. ``Cast`` and ``Mul`` of constants are folded at load, which ``DequantizeLinear`` is not.

Products of 8-bit activations would be faster, but captions would depend on the processor (without VNNI instructions
sums saturate) and, with dynamic ranges, on the other images of a batch. Calibrated ranges cost EfficientNet-Lite2 1.0 %
of CIDEr on 1,000 dev images of Flickr8k, and MobileNetV2 5 % on 200; int8 weights alone cost nothing measurable.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

_SMALL = 256  # numbers: smaller constants stay in float32
_SMALL_INT8 = 16_384  # numbers: smaller weights are stored in float16, where int8 would save little and cost most
_LEVELS = 127
_CLIPPED = np.linspace(0.7, 1.0, 13)  # shares of the largest weight that are tried as the largest value


def store_float16(model: Any) -> Any:
    """Stores large float32 constants as float16, and returns the model."""
    return _store(model, lambda name, array: _half(name, array) if array.size >= _SMALL else None)


def store_int8(model: Any) -> Any:
    """Stores large weights as int8 with one scale for each output channel, and returns the model.

    Weights of fewer than 16,384 numbers, such as those of depthwise convolutions, become float16: their rounding errors
    would add up through the network, and they are 2 % of its size.
    """
    axes = _channel_axes(model.graph)

    def convert(name: str, array: np.ndarray) -> tuple[list[Any], list[Any]] | None:
        if name in axes and array.size >= _SMALL_INT8:
            return _int8(name, array, axes[name])
        return _half(name, array) if array.size >= _SMALL else None

    return _store(model, convert)


def _store(model: Any, convert: Callable[[str, np.ndarray], tuple[list[Any], list[Any]] | None]) -> Any:
    """Replaces constants by other constants and the nodes that restore them."""
    constants: list[Any] = []
    nodes: list[Any] = []
    for constant in model.graph.initializer:
        array = numpy_helper.to_array(constant)
        stored = convert(constant.name, array) if array.dtype == np.float32 else None
        new_constants, new_nodes = ([constant], []) if stored is None else stored
        constants += new_constants
        nodes += new_nodes
    nodes += list(model.graph.node)
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(constants)
    model.graph.node.extend(nodes)
    return model


def _half(name: str, array: np.ndarray) -> tuple[list[Any], list[Any]] | None:
    if np.abs(array).max(initial=0) > np.finfo(np.float16).max:
        return None
    stored = numpy_helper.from_array(array.astype(np.float16), f"{name}/float16")
    return [stored], [onnx.helper.make_node("Cast", [stored.name], [name], to=TensorProto.FLOAT)]


def _int8(name: str, array: np.ndarray, axis: int) -> tuple[list[Any], list[Any]]:
    """Rounds weights; the scale of each channel is the one with the smallest squared error."""
    moved = np.moveaxis(array, axis, 0)
    rows = moved.reshape(len(moved), -1)
    largest = np.maximum(np.abs(rows).max(axis=1), 1e-12)
    errors = [_rounded(rows, share * largest / _LEVELS)[1] for share in _CLIPPED]
    scales = (_CLIPPED[np.argmin(errors, axis=0)] * largest / _LEVELS).astype(np.float32)
    stored = np.moveaxis(_rounded(rows, scales)[0].reshape(moved.shape), 0, axis)
    shape = [1] * array.ndim
    shape[axis] = -1
    parts = [
        numpy_helper.from_array(np.ascontiguousarray(stored), f"{name}/int8"),
        numpy_helper.from_array(scales.reshape(shape), f"{name}/scale"),
    ]
    return parts, [
        onnx.helper.make_node("Cast", [parts[0].name], [f"{name}/float"], to=TensorProto.FLOAT),
        onnx.helper.make_node("Mul", [f"{name}/float", parts[1].name], [name]),
    ]


def _rounded(rows: np.ndarray, scales: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns int8 rows, and the squared error of each."""
    stored = np.clip(np.round(rows / scales[:, None]), -_LEVELS, _LEVELS)
    return stored.astype(np.int8), ((stored * scales[:, None] - rows) ** 2).sum(axis=1)


def _channel_axes(graph: Any) -> dict[str, int]:
    """Returns the axis of the output channels of each weight of a convolution, a product or an embedding."""
    axes: dict[str, int] = {}
    for node in graph.node:
        if node.op_type == "Conv":
            axes[node.input[1]] = 0
        elif node.op_type == "Gather":
            axes[node.input[0]] = 0
        elif node.op_type == "MatMul":
            axes.setdefault(node.input[1], 1)
    ranks = {constant.name: len(constant.dims) for constant in graph.initializer}
    return {name: axis for name, axis in axes.items() if name in ranks and 2 <= ranks[name] and axis < ranks[name]}
