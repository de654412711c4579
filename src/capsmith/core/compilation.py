"""Compiled functions of a Keras model, on every backend.

Keras compiles ``fit`` and ``predict`` only. Decoding calls a step a hundred times a second and keeps its state on the
device, so it compiles its own function. Training uses Keras's own step except on TensorFlow, where Keras
retraces with an unknown length as soon as a second length occurs; a recurrence of known length is 20 % faster.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras

from capsmith.core.devices import divided, on_device, parts_of
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

    def run(*args: Any) -> Any:
        if keras.distribution.distribution() is not None:
            args = jax.tree.map(divided, args)
        return jitted([variable.value for variable in layer.variables], *args)

    return run


def _torch(function: Callable[..., Any]) -> Callable[..., Any]:
    import torch

    def run(*args: Any) -> Any:
        with torch.no_grad():
            return function(*args)

    return run


def training_step(model: keras.Model, devices: Sequence[str] = ()) -> Callable[[dict[str, Any], Any], float]:
    """Returns a function that takes one training step and returns the loss.

    Args:
        model: Compiled and built; ``"tokens"`` in its inputs are (B, T).
        devices: Result of ``devices.training_devices``; with several, TensorFlow computes a part of the batch on each.
    """
    if keras.backend.backend() != "tensorflow" or model.run_eagerly:
        return lambda inputs, targets: float(model.train_on_batch(inputs, targets))
    import tensorflow as tf

    def learn(*parts: tuple[dict[str, Any], Any, Any, Any]) -> Any:
        losses, gradients = [], []
        for device, (inputs, targets, of_words, of_captions) in zip(devices or ("",), parts, strict=False):
            with tf.device(on_device(device) if device else None), tf.GradientTape() as tape:
                loss = of_words * model.compute_loss(inputs, targets, model(inputs, training=True))
                for extra in model.losses if len(parts) > 1 else ():  # of layers: means over captions, not words
                    loss = loss + (of_captions - of_words) * extra
            losses.append(loss)
            gradients.append(tape.gradient(loss, model.trainable_variables))
        total = (
            gradients[0] if len(parts) == 1 else [_added(of_variable) for of_variable in zip(*gradients, strict=True)]
        )
        model.optimizer.apply(total, model.trainable_variables)
        return tf.add_n(losses) if len(losses) > 1 else losses[0]

    functions: dict[
        tuple[int, int], Any
    ] = {}  # by number of parts and length T: each is traced once, for any number of images

    def step(inputs: dict[str, Any], targets: Any) -> float:
        parts = parts_of(inputs, targets, len(devices)) if len(devices) > 1 else [(inputs, targets, 1.0, 1.0)]
        key = len(parts), inputs["tokens"].shape[1]
        if key not in functions:
            functions[key] = tf.function(learn, reduce_retracing=True, autograph=False)
        return float(functions[key](*tf.nest.map_structure(tf.convert_to_tensor, parts)))

    return step


def _added(gradients: tuple[Any, ...]) -> Any:
    """Returns the sum of the gradients of one variable; None if there are none."""
    import tensorflow as tf

    known = [gradient for gradient in gradients if gradient is not None]
    slices = [gradient for gradient in known if isinstance(gradient, tf.IndexedSlices)]  # of an embedding's rows
    if slices and len(slices) == len(known):
        values, indices = tf.concat([one.values for one in slices], 0), tf.concat([one.indices for one in slices], 0)
        return tf.IndexedSlices(values, indices, slices[0].dense_shape)
    return tf.add_n([tf.convert_to_tensor(gradient) for gradient in known]) if known else None
