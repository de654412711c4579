"""Compiles a function of a Keras layer, on whichever backend runs.

Keras compiles ``fit`` and ``predict`` alone; decoding calls a step a hundred times a second and keeps its state on
the device, so it compiles its own.
"""

from collections.abc import Callable
from typing import Any

import keras


def compiled(function: Callable[..., Any], layer: keras.layers.Layer) -> Callable[..., Any]:
    """Returns ``function``, compiled for inference.

    Args:
        function: Takes and returns tensors (or tuples of them) and reads only the variables of ``layer``.
        layer: The built layer; later changes of its weights are seen.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function, reduce_retracing=True)
    if backend == "jax":
        return _jax(function, layer)
    return _torch(function)


def _jax(function: Callable[..., Any], layer: keras.layers.Layer) -> Callable[..., Any]:
    import jax

    def pure(values: list[Any], *args: Any) -> Any:
        with keras.StatelessScope(state_mapping=list(zip(layer.variables, values, strict=True))):
            return function(*args)

    jitted = jax.jit(pure)
    return lambda *args: jitted([variable.value for variable in layer.variables], *args)


def _torch(function: Callable[..., Any]) -> Callable[..., Any]:
    import torch

    def run(*args: Any) -> Any:
        with torch.no_grad():
            return function(*args)

    return run
