"""Runs a search: as one compiled function on the device, or in NumPy over any ``Stepper``.

B images · N rows (hypotheses) of all images · V vocabulary.

A search is a ``Program``, written once over an array namespace ``xp``. Only ``run`` chooses the engine. capsmith's own
decoders run the program compiled on every backend (PyTorch runs it eagerly), so a step needs neither a Python call nor
a copy of N × V numbers. Any other ``Stepper`` runs it in NumPy, step by step.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from capsmith.decoding.namespace import NumpyNamespace


class Stepper(Protocol):
    """A decoder that can be searched."""

    def start(self, features: Any) -> Any:
        """Returns the state of B images before the first token."""

    def step(self, tokens_N: np.ndarray, parents_N: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:  # noqa: N803
        """Advances each row by one token.

        Args:
            tokens_N: The tokens, int32.
            parents_N: For each row, the row of ``state`` that it continues, of the same image; after ``start`` the
                index of the image. Rows of an image are adjacent, and every image has the same number.
            state: From ``start`` or from the step before.

        Returns:
            Log probabilities (N, V) of the next token, and the new state.
        """


class AttentiveStepper(Stepper, Protocol):
    """A decoder whose state may hold attention."""

    def attention(self, state: Any) -> np.ndarray:
        """Returns the weights of the regions (N, L) for the last token, if the decoder attends."""


@dataclass(frozen=True)
class RowState:
    """The decoder state of N rows, and the two operations that a search needs.

    Attributes:
        step: Maps tokens (N,) and a state to log probabilities (N, V) and the next state.
        reorder: Maps a state and the row that each new row continues (N,) to the state of the new rows.
        state: The state before the first token.
        images: B.
    """

    step: Callable[[Any, Any], tuple[Any, Any]]
    reorder: Callable[[Any, Any], Any]
    state: Any
    images: Any


class Program(Protocol):
    """A search. Programs are hashable: equal ones share one compiled function."""

    @property
    def rows(self) -> int:
        """Hypotheses of one image that are searched in parallel."""

    def __call__(self, xp: Any, rows: RowState, *arguments: Any) -> Any:
        """Searches; arguments and results are arrays or nested tuples of arrays."""


def run(program: Program, stepper: Stepper, features: Any, *arguments: Any) -> Any:
    """Runs a search for B images.

    Args:
        program: The search.
        stepper: The decoder. ``run_compiled(program, features, arguments)``, if it has this method, runs the search.
        features: The features that ``stepper.start`` takes; the length is B.
        *arguments: Numbers, arrays, and tuples of arrays of the program; None for absent ones. Changing their values
            does not trigger recompilation.

    Returns:
        The result of the program, in NumPy arrays.
    """
    arguments = tuple(map(_argument, arguments))
    run_compiled = getattr(stepper, "run_compiled", None)
    if run_compiled is not None:
        return run_compiled(program, features, arguments)
    return run_in_numpy(program, stepper, features, arguments)


def run_in_numpy(program: Program, stepper: Stepper, features: Any, arguments: tuple[Any, ...]) -> Any:
    """Runs a search step by step; arguments as those of ``DecoderStepper.run_compiled``."""
    return program(NumpyNamespace(), _numpy_rows(stepper, features, program.rows), *arguments)


def _argument(value: Any) -> Any:
    """Returns an argument as float32; arrays of int32 are token ids and stay."""
    if isinstance(value, tuple):
        return type(value)(*map(_argument, value))
    if value is None or (isinstance(value, np.ndarray) and value.dtype == np.int32):
        return value
    return np.asarray(value, np.float32)


def _numpy_rows(stepper: Stepper, features: Any, rows: int) -> RowState:
    """Returns the row state of a stepper, which reorders rows together with the next step."""
    images = len(features)
    unchanged = np.arange(images * rows, dtype=np.int32)

    def step(tokens: np.ndarray, state: tuple[Any, np.ndarray]) -> tuple[np.ndarray, Any]:
        inner, parents = state
        log_probs, inner = stepper.step(tokens.astype(np.int32), parents.astype(np.int32), inner)
        return np.asarray(log_probs, np.float32), (inner, unchanged)

    def reorder(state: tuple[Any, np.ndarray], parents: np.ndarray) -> tuple[Any, np.ndarray]:
        return state[0], parents

    first = np.repeat(np.arange(images, dtype=np.int32), rows)
    return RowState(step, reorder, (stepper.start(features), first), images)
