"""Adam that moves some variables more slowly than others, on every backend."""

from collections.abc import Collection
from typing import Any

import keras

from capsmith.training.config import TrainingConfig


class _Shares:
    """Learning rates of variables as shares of the optimizer's, by the variable's identity."""

    shares: dict[int, float]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Moves one variable."""
        share = self.shares.get(id(variable), 1.0)
        super().update_step(gradient, variable, learning_rate * share)  # type: ignore[misc]


class _Fused:
    """Adam with fewer passes over the weights on TensorFlow: the same numbers as Keras's."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Moves one variable (Kingma and Ba 2015, the end of sec. 2) by TensorFlow's one operation for it."""
        own: Any = self
        if keras.backend.backend() != "tensorflow" or own.amsgrad:
            super().update_step(gradient, variable, learning_rate)  # type: ignore[misc]
            return
        import tensorflow as tf

        if isinstance(gradient, tf.IndexedSlices):  # Keras squares each row's share of a word's gradient by itself
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
        """Clips as Keras does, but takes the norm in one pass over the gradients instead of two."""
        own: Any = self
        if keras.backend.backend() != "tensorflow" or not own.global_clipnorm or own.clipnorm:
            return list(super()._clip_gradients(grads))  # type: ignore[misc]
        import tensorflow as tf

        values = [grad.values if isinstance(grad, tf.IndexedSlices) else grad for grad in grads if grad is not None]
        norm = tf.sqrt(2.0 * tf.add_n([tf.nn.l2_loss(value) for value in values]))
        scale = own.global_clipnorm * tf.minimum(1.0 / norm, 1.0 / own.global_clipnorm) + (norm - norm)
        return [None if grad is None else tf.convert_to_tensor(grad) * scale for grad in grads]


class SlowedAdam(_Shares, _Fused, keras.optimizers.Adam):
    """Adam with shares."""


class SlowedAdamW(_Shares, _Fused, keras.optimizers.AdamW):
    """AdamW with shares."""


def build_optimizer(
    config: TrainingConfig, slow: Collection[Any] = (), share: float = 1.0
) -> keras.optimizers.Optimizer:
    """Returns the optimizer of a training.

    Args:
        config: Its settings.
        slow: Variables, such as an encoder's, that learn at a share of the learning rate, without weight decay.
        share: That share.
    """
    common: dict[str, Any] = {"learning_rate": config.learning_rate, "global_clipnorm": config.clip_norm}
    if config.ema is not None:
        common |= {"use_ema": True, "ema_momentum": config.ema}
    if config.optimizer == "adamw":
        made = SlowedAdamW(weight_decay=config.weight_decay, **common)
        if slow:
            made.exclude_from_weight_decay(var_list=list(slow))
    else:
        made = SlowedAdam(**common)
    own = keras.backend.backend() == "tensorflow"  # there a step is given what a variable wraps
    made.shares = {id(variable.value if own else variable): share for variable in slow}
    return made
