"""The probability of each word of a caption, kept while the search computes it, instead of computing it again.

N rows of a search · V vocabulary · P images.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np


class _Search:
    """What one search has computed: for each step the rows' tokens, parents, and log probabilities of their tokens."""

    def __init__(self, images: int) -> None:
        self.images = images
        self.steps: list[tuple[np.ndarray, np.ndarray, np.ndarray | None]] = []
        self._next: np.ndarray | None = None

    def add(self, tokens: np.ndarray, parents: np.ndarray, log_probs: np.ndarray) -> None:
        own = None if self._next is None else self._next[parents, tokens]
        self.steps.append((tokens, parents, own))
        self._next = log_probs

    def probabilities(self, image: int, tokens: Sequence[int]) -> tuple[float, ...] | None:
        """Returns the probability of each token of a caption of an image; None if the search did not visit it."""
        if not self.steps or len(tokens) >= len(self.steps):
            return None
        width = len(self.steps[0][0]) // self.images
        block = slice(image * width, (image + 1) * width)
        is_prefix = np.ones(width, bool)  # rows that have chosen the first tokens
        found: list[float] = []
        for token, (chosen, parents, log_probs) in zip(tokens, self.steps[1:], strict=False):
            if log_probs is None:
                return None
            is_prefix = (chosen[block] == token) & is_prefix[parents[block] - image * width]
            rows = np.flatnonzero(is_prefix)
            if not len(rows):
                return None
            found.append(float(log_probs[block][rows[0]]))
        return tuple(np.exp(found).tolist())


class RecordingStepper:
    """A stepper that remembers the searches of a batch; implements ``engine.Stepper``.

    Args:
        stepper: A stepper whose searches run in NumPy. A compiled search cannot be recorded.
    """

    def __init__(self, stepper: Any) -> None:
        self._stepper = stepper
        self._searches: list[_Search] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stepper, name)

    def forget(self) -> None:
        """Begins a new batch."""
        self._searches.clear()

    def start(self, features: Any) -> Any:
        """Returns the state before the first word."""
        self._searches.append(_Search(len(features)))
        return self._stepper.start(features)

    def step(self, tokens_N: np.ndarray, parents_N: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:  # noqa: N803
        """Advances each row by one token; returns log probabilities (N, V) and the next state."""
        log_probs, state = self._stepper.step(tokens_N, parents_N, state)
        self._searches[-1].add(tokens_N, parents_N, log_probs)
        return log_probs, state

    def probabilities(self, captions: Sequence[Sequence[int]]) -> list[tuple[float, ...] | None]:
        """Returns the probability of each token of captions; None for a caption whose probabilities are not known.

        Args:
            captions: The tokens of the caption of each image of the batch.
        """
        places = [(one, image) for one in self._searches for image in range(one.images)]
        if len(places) != len(captions):  # images were searched several times, for example by a reranker
            return [None] * len(captions)
        return [one.probabilities(image, own) for (one, image), own in zip(places, captions, strict=True)]


def record(captioner: Any) -> RecordingStepper | None:
    """Makes the searches of a captioner recorded; None if it searches compiled, or a token is not a word."""
    stepper = getattr(captioner, "stepper", None)
    if stepper is None or hasattr(stepper, "run_compiled") or captioner.vocabulary.pieces:
        return None
    captioner.stepper = RecordingStepper(stepper)
    return captioner.stepper
