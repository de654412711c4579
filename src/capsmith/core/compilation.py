"""Compiled functions of a Keras model, on every backend.

Keras compiles ``fit`` and ``predict`` only. Decoding calls a step a hundred times a second and keeps its state on the
device, so it compiles its own function. Training uses Keras's own step except on TensorFlow, where Keras
retraces with an unknown length as soon as a second length occurs; a recurrence of known length is 20 % faster.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import keras

from capsmith.core.precision import AutocastScope


def compiled(function: Callable[..., Any], layer: keras.layers.Layer) -> Callable[..., Any]:
    """Returns ``function``, compiled for inference.

    Args:
        function: Takes and returns tensors, or tuples of tensors, and reads only the variables of ``layer``.
        layer: A built layer; the function uses the current values of its weights.
    """
    backend = keras.backend.backend()
    if layer.compute_dtype != layer.variable_dtype:
        function = AutocastScope(layer, function)
    if backend == "tensorflow":
        import tensorflow as tf

        own = partial(function)  # TensorFlow counts retracing by code object: searches share theirs, and it would warn
        return tf.function(own, reduce_retracing=True, autograph=False)
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


def training_step(model: keras.Model) -> Callable[[dict[str, Any], Any], float]:
    """Returns a function that takes one training step and returns the loss.

    Args:
        model: Compiled and built; ``"tokens"`` in its inputs are (B, T).
    """
    if keras.backend.backend() != "tensorflow" or model.run_eagerly:
        return lambda inputs, targets: float(model.train_on_batch(inputs, targets))
    import tensorflow as tf

    def learn(inputs: dict[str, Any], targets: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = model.compute_loss(inputs, targets, model(inputs, training=True))
        variables = model.trainable_variables
        model.optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    functions: dict[int, Any] = {}  # by length T: each is traced once, for any number of images

    def step(inputs: dict[str, Any], targets: Any) -> float:
        length = inputs["tokens"].shape[1]
        if length not in functions:
            functions[length] = tf.function(learn, reduce_retracing=True, autograph=False)
        tensors = tf.nest.map_structure(tf.convert_to_tensor, inputs)
        return float(functions[length](tensors, tf.convert_to_tensor(targets)))

    return step
