"""Writes graphs as LiteRT files (``.tflite``), each with one signature whose tensors have the names of the export."""

from pathlib import Path

import numpy as np

from capsmith.core.errors import CheckpointError, one_line
from capsmith.deploy.export.graphs import Graph
from capsmith.deploy.export.loaded import Function
from capsmith.deploy.export.onnx_files import quiet
from capsmith.deploy.export.savedmodel import position, saved_temporarily


def write_litert(graph: Graph, path: Path, quantise: str | None = None) -> None:
    """Writes a graph as a LiteRT file of built-in operations only.

    The leading axes can be resized, as the interpreter's signature runner does.

    Args:
        graph: The graph.
        path: The file.
        quantise: ``float16``: weights in half precision; ``int8``: weights of products and convolutions as int8, whose
            inputs the interpreter rounds to 8 bits too. float32 by default.

    Raises:
        CheckpointError: The graph has an operation that LiteRT lacks.
    """
    import tensorflow as tf

    with saved_temporarily(graph) as folder, quiet():
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if quantise is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantise == "float16":
            converter.target_spec.supported_types = [tf.float16]
        try:
            content = converter.convert()
        except Exception as error:  # the converter raises many kinds, all about operations
            raise CheckpointError(f"{graph.name} cannot be written for LiteRT: {one_line(error)[:300]}") from error
    path.write_bytes(content)


def open_litert(path: Path) -> Function:
    """Opens a LiteRT file as a function of arrays."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=str(path), num_threads=2).get_signature_runner()
    names = sorted(runner.get_input_details(), key=position)

    def run(*arrays: np.ndarray) -> list[np.ndarray]:
        with quiet():  # the first call reports its delegate
            outputs = runner(**dict(zip(names, arrays, strict=True)))
        return [np.array(outputs[name]) for name in sorted(outputs, key=position)]

    return run
