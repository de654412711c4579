"""The learning rate as a function of the step: it has no state to save or to resume."""

import math

from capsmith.training.common.config import OptimisationConfig

_RISE, _INITIAL = 0.3, 1 / 25  # of onecycle: fraction of the epochs with a rising rate, and the initial rate


def learning_rate(config: OptimisationConfig, step: int, steps_per_epoch: int, scale: float = 1.0) -> float:
    """Returns the learning rate of a step.

    Args:
        config: Peak, schedule, warm-up and number of epochs.
        step: Number of steps before this one.
        steps_per_epoch: Batches in an epoch.
        scale: Factor that the ``plateau`` schedule applies.
    """
    epochs = step / steps_per_epoch
    if config.schedule == "onecycle":
        return _one_cycle(config, epochs)
    if epochs < config.warmup:
        return config.learning_rate * (step + 1) / (config.warmup * steps_per_epoch + 1) * scale
    if config.schedule != "cosine":
        return config.learning_rate * scale
    progress = min(1.0, (epochs - config.warmup) / max(config.epochs - config.warmup, 1e-9))
    return config.learning_rate * _half_cosine(1.0, config.final_rate, progress) * scale


def _one_cycle(config: OptimisationConfig, epochs: float) -> float:
    """Rises from a 25th of the peak over 30 % of the epochs, then decays (Smith and Topin 2018, with cosines)."""
    rise = _RISE * config.epochs
    if epochs < rise:
        return config.learning_rate * _half_cosine(_INITIAL, 1.0, epochs / rise)
    progress = min(1.0, (epochs - rise) / max(config.epochs - rise, 1e-9))
    return config.learning_rate * _half_cosine(1.0, config.final_rate, progress)


def _half_cosine(start: float, end: float, progress: float) -> float:
    """Returns a value on half a cosine, from ``start`` at progress 0 to ``end`` at progress 1."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * progress))
