"""Adam with learning rates per variable on every backend, and the moving average of the weights."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from capsmith.models.captioner import Captioner
from capsmith.training.common.config import OptimisationConfig


class _PerVariableRates:
    """Learning rates of variables relative to the optimizer's, by the variable's ``id``."""

    multipliers: dict[int, float]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates one variable."""
        multiplier = self.multipliers.get(id(variable), 1.0)
        super().update_step(gradient, variable, learning_rate * multiplier)  # type: ignore[misc]


class _FusedUpdate:
    """Adam with fewer passes over the weights on TensorFlow; the results equal those of Keras."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates one variable (Kingma and Ba 2015, end of sec. 2) by TensorFlow's fused operation."""
        own: Any = self
        if keras.backend.backend() != "tensorflow" or own.amsgrad:
            super().update_step(gradient, variable, learning_rate)  # type: ignore[misc]
            return
        import tensorflow as tf

        if isinstance(gradient, tf.IndexedSlices):  # the fused operation squares the sum of a row, Keras each part
            super().update_step(gradient, variable, learning_rate)  # type: ignore[misc]
            return
        index, step = own._get_variable_index(variable), tf.cast(own.iterations.value + 1, variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=own._momentums[index].value.handle,
            v=own._velocities[index].value.handle,
            beta1_power=tf.pow(tf.cast(own.beta_1, variable.dtype), step),
            beta2_power=tf.pow(tf.cast(own.beta_2, variable.dtype), step),
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=own.beta_1,
            beta2=own.beta_2,
            epsilon=own.epsilon,
            grad=tf.cast(gradient, variable.dtype),
        )

    def _clip_gradients(self, grads: list[Any]) -> list[Any]:
        """Clips by the global norm as Keras does, in one pass over the gradients instead of two."""
        own: Any = self
        if keras.backend.backend() != "tensorflow" or not own.global_clipnorm or own.clipnorm:
            return list(super()._clip_gradients(grads))  # type: ignore[misc]
        import tensorflow as tf

        values = [grad.values if isinstance(grad, tf.IndexedSlices) else grad for grad in grads if grad is not None]
        norm = tf.sqrt(2.0 * tf.add_n([tf.nn.l2_loss(value) for value in values]))
        scale = own.global_clipnorm * tf.minimum(1.0 / norm, 1.0 / own.global_clipnorm) + (norm - norm)  # keeps NaN
        return [None if grad is None else tf.convert_to_tensor(grad) * scale for grad in grads]


class Adam(_PerVariableRates, _FusedUpdate, keras.optimizers.Adam):
    """Adam with a learning rate per variable."""


class AdamW(_PerVariableRates, _FusedUpdate, keras.optimizers.AdamW):
    """AdamW with a learning rate per variable."""


def build_optimizer(
    config: OptimisationConfig, encoder: Collection[Any] = (), lr_multiplier: float = 1.0
) -> keras.optimizers.Optimizer:
    """Returns the optimizer of a training.

    Args:
        config: Its settings.
        encoder: Variables of an encoder that is trained: they have another learning rate and no weight decay.
        lr_multiplier: Their learning rate relative to that of the other variables.
    """
    common: dict[str, Any] = {"learning_rate": config.learning_rate, "global_clipnorm": config.clip_norm}
    if config.ema is not None:
        common |= {"use_ema": True, "ema_momentum": config.ema}
    if config.optimizer == "adamw":
        optimizer = AdamW(weight_decay=config.weight_decay, **common)
        if encoder:
            optimizer.exclude_from_weight_decay(var_list=list(encoder))
    else:
        optimizer = Adam(**common)
    unwrap = keras.backend.backend() == "tensorflow"  # there update_step receives the variable inside the Keras one
    optimizer.multipliers = {id(variable.value if unwrap else variable): lr_multiplier for variable in encoder}
    return optimizer


def optimizer_of(captioner: Captioner) -> keras.optimizers.Optimizer:
    """Returns the optimizer that a captioner's config defines."""
    encoder = captioner.model.encoder
    variables = encoder.trainable_variables if encoder is not None else ()
    multiplier = captioner.config.encoders[0].learning_rate_multiplier
    return build_optimizer(captioner.config.training, variables, multiplier)


@contextmanager
def averaged_weights(model: keras.Model, config: OptimisationConfig) -> Iterator[None]:
    """Replaces the weights by their exponential moving average inside the block, if the config enables it."""
    if config.ema is None:
        yield
        return
    variables = model.trainable_variables
    last = [np.array(keras.ops.convert_to_numpy(v)) for v in variables]
    model.optimizer.finalize_variable_values(variables)
    try:
        yield
    finally:
        for variable, value in zip(variables, last, strict=True):
            variable.assign(value)
