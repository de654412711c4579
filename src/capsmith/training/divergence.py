"""Stops a training whose loss is NaN or infinite, and suggests command-line options for another try."""

import math

from capsmith.core.errors import CapsmithError
from capsmith.models.run import RunDirectory
from capsmith.training.common.config import OptimisationConfig


def require_finite(loss: float, epoch: int, config: OptimisationConfig, run: RunDirectory, has_best: bool) -> None:
    """Checks the loss of a training step.

    Args:
        loss: The loss.
        epoch: The epoch, from 1.
        config: The training's settings.
        run: Its run directory.
        has_best: Whether the run holds the weights of a finished epoch.

    Raises:
        CapsmithError: The loss is NaN or infinite. The message suggests settings for another run.
    """
    if math.isfinite(loss):
        return
    advice = [f"training.learning_rate={config.learning_rate / 5:.1g}"]
    if config.clip_norm is None:
        advice.append("training.clip_norm=5")
    message = f"the loss is {loss} in epoch {epoch}: train into another --run with {_options(advice)}"
    if has_best and (start := config.restart(run.path)):
        message += f" ({_options(start)} starts from the weights of its best epoch)"
    raise CapsmithError(message)


def _options(overrides: list[str]) -> str:
    return " ".join(f"--set {override}" for override in overrides)
