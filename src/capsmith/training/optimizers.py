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


class SlowedAdam(_Shares, keras.optimizers.Adam):
    """Adam with shares."""


class SlowedAdamW(_Shares, keras.optimizers.AdamW):
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
