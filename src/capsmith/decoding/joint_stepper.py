"""Several steppers that search as one, in NumPy: the counterpart of ``models.ensemble`` without Keras.

P images · N rows of a search · V vocabulary · M members.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from capsmith.decoding.engine import Stepper
from capsmith.decoding.features import EnsembleFeatures


class JointStepper:
    """Implements ``engine.Stepper`` for models whose next word follows the mean of their probabilities.

    Args:
        steppers: One for each member, over one vocabulary; they may be of different kinds.
    """

    def __init__(self, steppers: Sequence[Stepper]) -> None:
        self.steppers = tuple(steppers)

    def start(self, features: EnsembleFeatures) -> list[Any]:
        """Returns the state of each member."""
        return [stepper.start(part) for stepper, part in zip(self.steppers, features.parts, strict=True)]

    def step(self, tokens_N: np.ndarray, parents_N: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:  # noqa: N803
        """Advances each row by one token; returns log probabilities (N, V) and the state of each member."""
        pairs = zip(self.steppers, state, strict=True)
        results = [stepper.step(tokens_N, parents_N, own) for stepper, own in pairs]
        log_probs_MNV = np.stack([log_probs for log_probs, _ in results])  # noqa: N806
        highest = log_probs_MNV.max(axis=0)
        finite = np.where(np.isfinite(highest), highest, np.float32(0))
        with np.errstate(divide="ignore"):  # the logarithm of 0 is minus infinity
            total = finite + np.log(np.exp(log_probs_MNV - finite).mean(axis=0))
        return total, [after for _, after in results]

    def members(self, features: EnsembleFeatures) -> list[tuple[Stepper, Any]]:
        """Returns the stepper of each member, and its features of the images."""
        return list(zip(self.steppers, features.parts, strict=True))
