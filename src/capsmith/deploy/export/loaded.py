"""An export that was loaded again, searched with NumPy: what ``verify`` compares with the checkpoint.

P images · N rows of a search · D channels · L regions · V vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from capsmith.decoding.engine import Stepper
from capsmith.decoding.features import EnsembleFeatures
from capsmith.vision.joined import join_features

Function = Callable[..., list[np.ndarray]]
"""A file of an export: arrays in, a list of arrays out."""


@dataclass(frozen=True)
class LoadedMember:
    """One model of an export; implements ``engine.Stepper``.

    Attributes:
        encoders: The encoders' functions.
        start: The decoder's start.
        step: The decoder's step.
        n_static: Number of state tensors that belong to the images.
        store_float16: Whether grids are rounded to the precision of a feature store.
    """

    encoders: tuple[Function, ...]
    start_function: Function
    step_function: Function
    n_static: int
    store_float16: bool

    def encode(self, pixels: Sequence[np.ndarray]) -> np.ndarray:
        """Returns the features of pixels (P, H, W, 3), one array for each encoder."""
        parts = [encoder(array)[0] for encoder, array in zip(self.encoders, pixels, strict=True)]
        return join_features([part.astype(np.float16) for part in parts] if self.store_float16 else parts)

    def start(self, features: np.ndarray) -> list[np.ndarray]:
        """Returns the state before the first word."""
        return self.start_function(np.asarray(features, np.float32))

    def step(self, tokens_N: np.ndarray, parents_N: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:  # noqa: N803
        """Advances each row by one word."""
        static, recurrent = state[: self.n_static], [tensor[parents_N] for tensor in state[self.n_static :]]
        log_probs, *after = self.step_function(np.asarray(tokens_N, np.int32), *static, *recurrent)
        return log_probs, [*static, *after]


@dataclass(frozen=True)
class LoadedEnsemble:
    """Models whose next word follows the mean of their probabilities, as ``models.ensemble``."""

    parts: tuple[LoadedMember, ...]

    def start(self, features: EnsembleFeatures) -> list[Any]:
        """Returns the state of each model."""
        return [member.start(part) for member, part in zip(self.parts, features.parts, strict=True)]

    def step(self, tokens_N: np.ndarray, parents_N: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:  # noqa: N803
        """Advances each row by one word."""
        results = [member.step(tokens_N, parents_N, own) for member, own in zip(self.parts, state, strict=True)]
        log_probs = np.stack([result[0] for result in results])
        highest = log_probs.max(axis=0)
        total = highest + np.log(np.exp(log_probs - highest).mean(axis=0))
        return total, [result[1] for result in results]

    def members(self, features: EnsembleFeatures) -> list[tuple[Stepper, Any]]:
        """Returns each model, and its features of the images."""
        return list(zip(self.parts, features.parts, strict=True))
