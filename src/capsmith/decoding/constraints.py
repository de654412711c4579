"""Tokens that a search may not choose next.

N rows · T longest caption · V vocabulary.
"""

from typing import Any

import numpy as np

from capsmith.data.text.vocabulary import END, PAD, START, UNK

IMPOSSIBLE = np.float32(-np.inf)
NEVER = (PAD, UNK, START)
"""Tokens that no caption contains."""


def allowed(xp: Any, log_probs: Any, tokens: Any, position: Any, min_length: Any, no_repeat: int) -> Any:
    """Returns log probabilities with minus infinity at the tokens that are not allowed next.

    Args:
        xp: The array namespace.
        log_probs: Log probabilities (N, V).
        tokens: The tokens chosen so far (N, T), padded with end tokens.
        position: Number of tokens chosen so far.
        min_length: The end token is not allowed before this position.
        no_repeat: Length of the n-grams that may not occur twice in a row's caption; 0 allows all.
    """
    size = log_probs.shape[-1]
    never, end = np.zeros((2, size), np.float32)
    never[list(NEVER)], end[END] = IMPOSSIBLE, IMPOSSIBLE
    early = xp.cast(position, "float32") < min_length
    log_probs = log_probs + xp.where(early, xp.convert_to_tensor(never + end), xp.convert_to_tensor(never))
    return _without_repeats(xp, log_probs, tokens, position, no_repeat) if no_repeat else log_probs


def _without_repeats(xp: Any, log_probs: Any, tokens: Any, position: Any, n: int) -> Any:
    """Excludes tokens that would complete an n-gram that the row already contains."""
    length = tokens.shape[1]
    starts = length - n  # of n-grams that end before the last position
    if starts < 1:
        return log_probs
    repeated = xp.arange(starts, dtype="int32")[None] <= position - n
    for offset in range(n - 1):  # compare each n-gram's first n - 1 tokens with the last n - 1 tokens of the row
        column = xp.maximum(position - n + 1 + offset, 0)
        last = xp.take(tokens, column, axis=1)
        repeated = xp.logical_and(repeated, tokens[:, offset : offset + starts] == last[:, None])
    completing = xp.where(repeated, tokens[:, n - 1 : n - 1 + starts], PAD)  # PAD is excluded anyway,
    completing = xp.where(completing == END, PAD, completing)  # and rows that have ended are padded with END
    row = xp.arange(xp.shape(tokens)[0], dtype="int32")[:, None]
    index = xp.stack([row + xp.zeros_like(completing), completing], axis=2)
    index = xp.reshape(index, (-1, 2))
    updates = xp.cast(xp.zeros_like(index[:, 0]), "float32") + IMPOSSIBLE
    return xp.scatter_update(log_probs, index, updates)
