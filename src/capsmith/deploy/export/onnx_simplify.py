"""Makes ONNX graphs smaller and faster without changing their results.

V vocabulary · E word channels · N rows.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from capsmith.core.onnx_session import import_onnxruntime

_SMALL = 256  # numbers: sharing smaller constants saves nothing


def fold_convolutions(model: Any) -> Any:
    """Returns an encoder in which scales, offsets and paddings around convolutions are folded into them.

    tf2onnx folds most batch normalisation, but not that of depthwise convolutions. onnxruntime would fold it each time
    it loads the file; a quantised file needs it before the weights are rounded.
    """
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC  # standard operations only
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "folded.onnx"
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        folded = onnx.load(path)
    opsets = [entry for entry in folded.opset_import if entry.domain in ("", "ai.onnx")]
    del folded.opset_import[:]
    folded.opset_import.extend(opsets)
    return folded


def simplify_decoder(model: Any) -> Any:
    """Shortens a decoder's graph in place, and returns it."""
    _read_tokens_directly(model.graph)
    _share_transposed(model.graph)
    _remove_unused(model.graph)
    return model


def _read_tokens_directly(graph: Any) -> None:
    """Lets the embedding read the tokens themselves: Keras first maps negative ones, and there are none."""
    producers = {output: node for node in graph.node for output in node.output}
    constants = {constant.name for constant in graph.initializer}

    def only_tokens(name: str) -> bool:
        if name in ("", "tokens") or name in constants:
            return True
        node = producers.get(name)
        return node is not None and node.op_type != "Shape" and all(only_tokens(part) for part in node.input)

    for node in graph.node:
        if node.op_type == "Gather" and node.input[0] in constants and node.input[1] != "tokens":
            rank = next(len(constant.dims) for constant in graph.initializer if constant.name == node.input[0])
            if rank == 2 and node.input[1] in producers and only_tokens(node.input[1]):
                node.input[1] = "tokens"


def _share_transposed(graph: Any) -> None:
    """Stores a matrix once that occurs also transposed, as tied word vectors do (V, E) and (E, V)."""
    matrices = {c.name: numpy_helper.to_array(c) for c in graph.initializer if len(c.dims) == 2}
    large = {name: matrix for name, matrix in matrices.items() if matrix.size >= _SMALL}
    gathered = {node.input[0] for node in graph.node if node.op_type == "Gather"}
    for name in sorted(gathered & large.keys()):
        matrix = large[name]
        for other, transposed in large.items():
            if other != name and transposed.shape == matrix.shape[::-1] and np.array_equal(transposed, matrix.T):
                graph.initializer.remove(next(c for c in graph.initializer if c.name == other))
                graph.node.insert(0, onnx.helper.make_node("Transpose", [name], [other], perm=[1, 0]))


def _remove_unused(graph: Any) -> None:
    """Removes nodes and constants that no output needs."""
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            kept.append(node)
            needed |= set(node.input)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    constants = [constant for constant in graph.initializer if constant.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(constants)
