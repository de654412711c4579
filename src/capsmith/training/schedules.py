"""The learning rate as a function of the step; nothing to save, nothing to resume."""

import math

from capsmith.training.config import TrainingConfig

_CLIMB, _LOW = 0.3, 1 / 25


def learning_rate(config: TrainingConfig, step: int, steps_per_epoch: int, scale: float = 1.0) -> float:
    """Returns the rate for one step.

    Args:
        config: Peak, schedule, warm-up and length.
        step: Steps taken before this one.
        steps_per_epoch: Batches an epoch.
        scale: What ``plateau`` has multiplied the rate by so far.
    """
    done = step / steps_per_epoch  # in epochs
    if config.schedule == "onecycle":
        return _one_cycle(config, done)
    if done < config.warmup:
        return config.learning_rate * (step + 1) / (config.warmup * steps_per_epoch + 1) * scale
    if config.schedule != "cosine":
        return config.learning_rate * scale
    share = min(1.0, (done - config.warmup) / max(config.epochs - config.warmup, 1e-9))
    return config.learning_rate * _between(1.0, config.final_rate, share) * scale


def _one_cycle(config: TrainingConfig, done: float) -> float:
    """Up from a 25th of the peak over 30 % of the epochs, then down (Smith and Topin 2018, with cosines)."""
    climb = _CLIMB * config.epochs
    if done < climb:
        return config.learning_rate * _between(_LOW, 1.0, done / climb)
    share = min(1.0, (done - climb) / max(config.epochs - climb, 1e-9))
    return config.learning_rate * _between(1.0, config.final_rate, share)


def _between(start: float, end: float, share: float) -> float:
    """Returns a value on half a cosine from ``start`` (share 0) to ``end`` (share 1)."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * share))
