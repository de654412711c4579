"""ONNX files whose outputs are known: they hold their outputs as constants, and read the image to no effect."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Sides = Sequence[int | str | None]


def constant_model(
    outputs: Mapping[str, np.ndarray],
    inputs: Mapping[str, tuple[int, Sides]] | None = None,
    metadata: Mapping[str, str] | None = None,
    shapes: Mapping[str, Sides] | None = None,
    opset: int = 13,
    ir_version: int = 8,
) -> onnx.ModelProto:
    """Returns a model with these outputs, whatever the image.

    Args:
        outputs: What it computes, by name.
        inputs: Element type and shape of each input; by default ``images``, float (1, 3, 64, 96).
        metadata: Properties of the file, such as ``names``.
        shapes: Shapes that the file states instead of the true ones; strings are open axes.
        opset: Version of the operators.
        ir_version: Version of the format.
    """
    inputs = {"images": (TensorProto.FLOAT, (1, 3, 64, 96))} if inputs is None else inputs
    nodes, weights, infos = [], [], []
    for name, value in outputs.items():
        weights.append(numpy_helper.from_array(np.asarray(value), f"{name}_value"))
        nodes.append(helper.make_node("Identity", [f"{name}_value"], [name]))
        shape = (shapes or {}).get(name, value.shape)
        infos.append(helper.make_tensor_value_info(name, weights[-1].data_type, list(shape)))
    given = [helper.make_tensor_value_info(name, kind, list(shape)) for name, (kind, shape) in inputs.items()]
    return model_of(helper.make_graph(nodes, "detector", given, infos, weights), metadata, opset, ir_version)


def model_of(
    graph: onnx.GraphProto, metadata: Mapping[str, str] | None = None, opset: int = 13, ir_version: int = 8
) -> onnx.ModelProto:
    """Returns a model of a graph, with properties."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)
    helper.set_model_props(model, dict(metadata or {}))
    return model


def saved(model: onnx.ModelProto, path: Path) -> Path:
    """Writes a model as it is: without checks, and without moving its weights."""
    path.write_bytes(model.SerializeToString())
    return path


def node(kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> onnx.NodeProto:
    """Returns an operator; shorter than onnx's own function."""
    return helper.make_node(kind, list(inputs), list(outputs), **attributes)
