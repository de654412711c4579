"""Writes graphs as ONNX files, through tf2onnx.

tf2onnx folds batch normalisation into convolutions and constants into each other; what remains for onnxruntime are the
network's own operations.
"""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from capsmith.core.errors import CheckpointError, one_line
from capsmith.core.onnx_session import import_onnxruntime
from capsmith.deploy.export.graphs import Graph
from capsmith.deploy.export.onnx_simplify import fold_convolutions, simplify_decoder
from capsmith.deploy.export.onnx_weights import store_float16, store_int8

OPSET = 15  # the oldest that has all operations: read by every onnxruntime since 1.10 and by onnxruntime-web
_IR_VERSION = 8  # of that time: the one of a newer onnx package is refused by an older onnxruntime


def write_onnx(graph: Graph, path: Path, quantise: str | None = None) -> None:
    """Writes a graph as an ONNX file with the names of its inputs and outputs.

    Args:
        graph: The graph.
        path: The file.
        quantise: ``int8`` or ``float16`` weights; float32 by default.

    Raises:
        CheckpointError: The graph has an operation without an ONNX form.
    """
    with quiet():
        try:
            content = _model(graph, quantise).SerializeToString()
        except Exception as error:  # tf2onnx and onnxruntime raise many kinds, all about operations
            raise CheckpointError(f"{graph.name} cannot be written as ONNX: {one_line(error)[:300]}") from error
    path.write_bytes(content)


def _model(graph: Graph, quantise: str | None) -> Any:
    import onnx

    model = _convert(graph)
    _set_names(model.graph, graph)
    model = fold_convolutions(model) if graph.name.startswith("encoder") else simplify_decoder(model)
    model.ir_version = _IR_VERSION
    model.producer_name, model.doc_string, model.graph.name = "capsmith", "", graph.name
    if quantise is not None:
        model = {"float16": store_float16, "int8": store_int8}[quantise](model)
    onnx.checker.check_model(model)
    return model


def _convert(graph: Graph) -> Any:
    """Converts a graph; as ``tf2onnx.convert.from_function``, which cannot leave out an optimizer."""
    import tensorflow as tf
    from tf2onnx import optimizer, tf_loader
    from tf2onnx.tfonnx import process_tf_graph

    concrete = graph.tensorflow().get_concrete_function()
    inputs, outputs = (
        [tensor.name for tensor in side if tensor.dtype != tf.resource] for side in (concrete.inputs, concrete.outputs)
    )
    with tf.device("/cpu:0"):
        frozen = tf_loader.from_function(concrete, inputs, outputs)
        with tf.Graph().as_default() as imported:
            tf.import_graph_def(frozen, name="")
            converted = process_tf_graph(
                imported,
                opset=OPSET,
                input_names=inputs,
                output_names=outputs,
                tensors_to_rename=dict(zip(inputs, [tensor.name for tensor in graph.inputs], strict=True)),
            )
            return optimizer.optimize_graph(converted, optimizers=_optimizers(graph)).make_model(graph.name)


def _optimizers(graph: Graph) -> dict[str, Any]:
    """Returns the rewriting steps of tf2onnx that are safe together.

    ``reshape_optimizer`` writes 0 for an axis that is copied from the input, and ``remove_back_to_back`` then removes
    the reshape that made this input: the axis is copied from the wrong tensor. Encoders need the second, which folds
    batch normalisation; decoders gain by the first.
    """
    from tf2onnx import optimizer

    unsafe = "remove_back_to_back" if graph.name in ("start", "step") else "reshape_optimizer"
    return {name: step for name, step in optimizer._get_optimizers().items() if name != unsafe}


def _set_names(model: Any, graph: Graph) -> None:
    """Gives the inputs and outputs of an ONNX graph the names of the export, and names their dynamic axes."""
    _require_inputs(model, graph)
    names = {output.name: name for output, (name, _) in zip(model.output, graph.outputs, strict=True)}
    for node in model.node:
        for tensors in (node.input, node.output):
            tensors[:] = [names.get(tensor, tensor) for tensor in tensors]
    for output, (name, axis) in zip(model.output, graph.outputs, strict=True):
        output.name = name
        output.type.tensor_type.shape.dim[0].dim_param = axis
    for value in model.input:
        axis = next(tensor.axis for tensor in graph.inputs if tensor.name == value.name)
        value.type.tensor_type.shape.dim[0].dim_param = axis
    del model.value_info[:]
    for node in model.node:
        node.doc_string = ""


def _require_inputs(model: Any, graph: Graph) -> None:
    """Adds inputs that the graph does not read, and puts all in order: callers pass the complete state."""
    import onnx

    present = {value.name: value for value in model.input}
    ordered = [
        present.get(tensor.name)
        or onnx.helper.make_tensor_value_info(
            tensor.name, onnx.helper.np_dtype_to_tensor_dtype(_numpy(tensor.dtype)), (tensor.axis, *tensor.shape)
        )
        for tensor in graph.inputs
    ]
    del model.input[:]
    model.input.extend(ordered)


def _numpy(dtype: str) -> Any:
    import numpy as np

    return np.dtype(dtype)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hides what TensorFlow, its C++ code and tf2onnx print while they convert; errors are raised as usual."""
    loggers = [logging.getLogger(name) for name in ("tf2onnx", "tensorflow")]
    levels = [logger.level for logger in loggers]
    sys.stderr.flush()
    stderr, null_device = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null_device, 2)
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(null_device)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def open_onnx(path: Path) -> Any:
    """Opens an ONNX file as a function of arrays."""
    session = import_onnxruntime().InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    return lambda *arrays: session.run(None, dict(zip(names, arrays, strict=True)))
