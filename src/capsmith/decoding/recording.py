"""What a search in NumPy has computed on its way: the probability and the attention of each token of its captions.

B images · N rows of a search · V vocabulary · L regions.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from capsmith.decoding.engine import Stepper

Weights = Callable[[Any], list[np.ndarray]]
"""Returns the weights of the regions (N, L) in a state, for each model that attends."""


class Path(NamedTuple):
    """What was computed for the T tokens of a caption.

    Attributes:
        log_probabilities: Of each token given those before it, (T,).
        weights: The attention of each token (T, L), for each model that attends.
    """

    log_probabilities: np.ndarray
    weights: list[np.ndarray]


class _Step(NamedTuple):
    tokens: np.ndarray  # (N,) that the rows have read
    parents: np.ndarray  # (N,) the rows of the step before that they continue
    log_probabilities: np.ndarray  # (N,) of these tokens
    weights: list[np.ndarray]  # (N, L) with which the next token was predicted


class RecordingStepper:
    """A stepper that remembers the path of each row, so that captions need not be computed once more.

    It has no ``run_compiled``: the search runs in NumPy.

    Args:
        stepper: The stepper.
        weights: Reads the attention in a state, if it is to be recorded.
    """

    def __init__(self, stepper: Stepper, weights: Weights | None = None) -> None:
        self._stepper, self._weights = stepper, weights
        self._runs: list[_Run] = []
        if hasattr(stepper, "members"):
            self.members = stepper.members

    def start(self, features: Any) -> Any:
        """Returns the state of B images before the first token."""
        self._runs.append(_Run(len(features)))
        return self._stepper.start(features)

    def step(self, tokens_N: np.ndarray, parents_N: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:  # noqa: N803
        """Advances each row by one token; returns log probabilities (N, V) and the next state."""
        log_probs, state = self._stepper.step(tokens_N, parents_N, state)
        self._runs[-1].add(tokens_N, parents_N, log_probs, self._weights(state) if self._weights else [])
        return log_probs, state

    def path(self, image: int, tokens: Sequence[int]) -> Path | None:
        """Returns what was computed for a caption of an image; None if the search did not follow it.

        Args:
            image: Number of the image in the features of ``start``.
            tokens: The tokens of the caption, without start and end.
        """
        found = (run.path(image, tokens) for run in self._runs)
        return next((path for path in found if path is not None), None)


class _Run:
    """The steps of one search."""

    def __init__(self, images: int) -> None:
        self._images = images
        self._steps: list[_Step] = []
        self._last = np.zeros((0, 0), np.float32)  # log probabilities (N, V) after the last step

    def add(self, tokens: np.ndarray, parents: np.ndarray, log_probs: np.ndarray, weights: list[np.ndarray]) -> None:
        read = self._last[parents, tokens] if self._steps else np.zeros(len(tokens), np.float32)
        self._steps.append(_Step(tokens.copy(), parents.copy(), read, weights))
        self._last = log_probs

    def path(self, image: int, tokens: Sequence[int]) -> Path | None:
        """Follows the rows back from the one that has read all tokens, or all but a last one after which it ended."""
        count = len(tokens)
        if count < len(self._steps) and (rows := self._rows(image, tokens)) is not None:
            return self._along(rows)
        if count == len(self._steps) and count and (rows := self._rows(image, tokens[:-1])) is not None:
            before = self._along(rows)
            last = self._last[rows[-1], tokens[-1]]
            weights = [
                np.concatenate([own, after[rows[-1], None]])
                for own, after in zip(before.weights, self._steps[-1].weights, strict=True)
            ]
            return Path(np.append(before.log_probabilities, last), weights)
        return None

    def _rows(self, image: int, tokens: Sequence[int]) -> list[int] | None:
        """Returns the row that has read the first 0, 1, … tokens; None if there is none."""
        several = len(self._steps[len(tokens)].tokens) // self._images
        for row in range(image * several, (image + 1) * several):
            rows = [row]
            for place in range(len(tokens), 0, -1):
                if self._steps[place].tokens[rows[-1]] != tokens[place - 1]:
                    break
                rows.append(int(self._steps[place].parents[rows[-1]]))
            else:
                return rows[::-1]
        return None

    def _along(self, rows: Sequence[int]) -> Path:
        read = [self._steps[place].log_probabilities[row] for place, row in enumerate(rows)]
        models = len(self._steps[0].weights)
        seen = [
            [self._steps[place].weights[model][row] for place, row in enumerate(rows[:-1])] for model in range(models)
        ]
        empty = [own[:0] for own in self._steps[0].weights]
        return Path(np.array(read[1:]), [np.stack(own) if own else none for own, none in zip(seen, empty, strict=True)])
