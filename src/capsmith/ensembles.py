"""Several captioners that write one caption together.

P pictures · N rows of a search · V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from capsmith.captioner import Captioner
from capsmith.config import model_difference
from capsmith.data.sources import Source
from capsmith.decoding import Stepper
from capsmith.errors import CheckpointError


@dataclass(frozen=True)
class Member:
    """A captioner and where it finds its features: members may have different encoders.

    Attributes:
        captioner: The model.
        source: Its features, or pixels where its encoder was trained.
    """

    captioner: Captioner
    source: Source

    def features(self, ids: Sequence[str]) -> np.ndarray:
        """Returns what the decoder takes, (P, …)."""
        found = self.source.gather(self.source.rows(ids))
        return self.captioner.encode(found) if self.captioner.config.trains_encoder else found


class Views:
    """The same P pictures as each member sees them."""

    def __init__(self, parts: Sequence[np.ndarray]) -> None:
        self.parts = tuple(parts)

    def __len__(self) -> int:
        return len(self.parts[0])


class Ensemble:
    """A ``Stepper`` whose next word follows the mean of its members' probabilities.

    Args:
        steppers: The members; they share one vocabulary.
    """

    def __init__(self, steppers: Sequence[Stepper]) -> None:
        self.steppers = tuple(steppers)

    def start(self, features: Views) -> Any:
        """Returns every member's state."""
        return tuple(one.start(part) for one, part in zip(self.steppers, features.parts, strict=True))

    def step(self, tokens_N: np.ndarray, parents_N: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:  # noqa: N803
        """Reads a word a row; returns log probabilities (N, V) and every member's state after."""
        steps = [one.step(tokens_N, parents_N, own) for one, own in zip(self.steppers, state, strict=True)]
        mean = np.logaddexp.reduce([log_probs for log_probs, _ in steps], axis=0) - np.log(len(steps))
        return mean.astype(np.float32), tuple(after for _, after in steps)


def average(captioners: Sequence[Captioner], names: Sequence[object]) -> Captioner:
    """Gives the first captioner the mean of all their weights, and returns it.

    That is a model of its own, as quick as one of them, where they began with the same weights: several stages or
    continuations of one training (Wortsman et al. 2022). Of trainings with other seeds the mean says nothing.

    Raises:
        CheckpointError: They are not models of one kind.
    """
    first, *others = captioners
    for captioner, name in zip(others, names[1:], strict=True):
        if changed := model_difference(first.config, captioner.config):
            raise CheckpointError(f"{name} cannot be averaged with {names[0]}: it is of another model ({changed})")
    for same in zip(*(captioner.model.weights for captioner in captioners), strict=True):
        if "float" in str(same[0].dtype):
            same[0].assign(sum(keras.ops.convert_to_numpy(weight) for weight in same) / len(same))
    return first


def require_same_words(captioners: Sequence[Captioner], names: Sequence[object]) -> None:
    """Checks that captioners can write together.

    Raises:
        CheckpointError: One has another vocabulary than the first.
    """
    first = captioners[0].vocabulary.fingerprint()
    for captioner, name in zip(captioners, names, strict=True):
        if captioner.vocabulary.fingerprint() != first:
            raise CheckpointError(f"{name} has other words than {names[0]}: train both on the same captions")
