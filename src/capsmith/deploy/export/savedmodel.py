"""Writes graphs as TensorFlow SavedModels with one signature each, whose tensors have the names of the export."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from capsmith.core.errors import CheckpointError, one_line
from capsmith.deploy.export.graphs import Graph
from capsmith.deploy.export.loaded import Function
from capsmith.deploy.export.onnx_files import quiet

SIGNATURE = "serving_default"
"""Name of the signature."""


def write_savedmodel(graph: Graph, path: Path, quantise: None = None) -> None:
    """Writes a graph as a folder; its weights are float32 constants of the graph.

    Raises:
        CheckpointError: TensorFlow cannot save the graph.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    with quiet():
        try:
            frozen = convert_variables_to_constants_v2(graph.tensorflow().get_concrete_function())
            module = tf.Module()
            module.function = tf.function(lambda *tensors: dict(zip(_outputs(graph), frozen(*tensors), strict=True)))
            signature = module.function.get_concrete_function(*graph.signature())
            tf.saved_model.save(module, str(path), signatures={SIGNATURE: signature})
        except Exception as error:  # TensorFlow raises many kinds, all about operations
            raise CheckpointError(f"{graph.name} cannot be saved: {one_line(error)[:300]}") from error


def open_savedmodel(path: Path) -> Function:
    """Opens a SavedModel as a function of arrays."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    signature = loaded.signatures[SIGNATURE]
    names = sorted(signature.structured_input_signature[1], key=position)

    def run(*arrays: np.ndarray) -> list[np.ndarray]:
        inputs = {name: tf.constant(array) for name, array in zip(names, arrays, strict=True)}
        outputs = signature(**inputs)
        assert loaded is not None  # noqa: S101  the signature refers to it weakly
        return [outputs[name].numpy() for name in sorted(outputs, key=position)]

    return run


def position(name: str) -> tuple[bool, int]:
    """Orders the names of tensors as a graph does: tokens or probabilities first, then the state by its numbers."""
    number = name.rpartition("_")[2]
    return "state" in name, int(number) if number.isdecimal() else 0


def _outputs(graph: Graph) -> list[str]:
    return [name for name, _ in graph.outputs]


def saved_temporarily(graph: Graph) -> "tempfile.TemporaryDirectory[str]":
    """Returns a temporary folder that holds a graph as a SavedModel."""
    folder: Any = tempfile.TemporaryDirectory()
    write_savedmodel(graph, Path(folder.name))
    return folder
