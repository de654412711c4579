"""The learning rate as a function of the step; nothing to save, nothing to resume."""

import math

from capsmith.training.config import TrainingConfig


def learning_rate(config: TrainingConfig, step: int, steps_per_epoch: int, scale: float = 1.0) -> float:
    """Returns the rate for one step.

    Args:
        config: Peak, schedule, warm-up and length.
        step: Steps taken before this one.
        steps_per_epoch: Batches an epoch.
        scale: What ``plateau`` has multiplied the rate by so far.
    """
    done = step / steps_per_epoch  # in epochs
    if done < config.warmup:
        return config.learning_rate * (step + 1) / (config.warmup * steps_per_epoch + 1) * scale
    if config.schedule != "cosine":
        return config.learning_rate * scale
    share = min(1.0, (done - config.warmup) / max(config.epochs - config.warmup, 1e-9))
    fall = 0.5 * (1 + math.cos(math.pi * share))
    return config.learning_rate * (config.final_rate + (1 - config.final_rate) * fall) * scale
