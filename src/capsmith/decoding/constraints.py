"""Tokens that a search may not choose next.

N rows · T longest caption · V vocabulary · P phrases · L longest phrase.
"""

from typing import Any, NamedTuple

import numpy as np

from capsmith.data.text.vocabulary import END, PAD, START, UNK

IMPOSSIBLE = np.float32(-np.inf)
NEVER = (PAD, UNK, START)
"""Tokens that no caption contains."""
ANY = -1
"""Padding of prefixes and phrases."""


class Limits(NamedTuple):
    """Tokens that are forced or forbidden; arguments of a program, so other words need no compilation.

    Attributes:
        forbidden: Minus infinity at forbidden tokens, else 0 (V,).
        phrases: Forbidden sequences of several tokens (P, L), padded in front with ``ANY``; or None.
        prefix: The first tokens (M,), padded at the end with ``ANY``; or None.
    """

    forbidden: Any
    phrases: Any
    prefix: Any


def allowed(
    xp: Any,
    log_probs: Any,
    tokens: Any,
    position: Any,
    min_length: Any,
    no_repeat: int,
    limits: Limits | None = None,
) -> Any:
    """Returns log probabilities with minus infinity at the tokens that are not allowed next.

    Args:
        xp: The array namespace.
        log_probs: Log probabilities (N, V).
        tokens: The tokens chosen so far (N, T), padded with end tokens.
        position: Number of tokens chosen so far.
        min_length: The end token is not allowed before this position.
        no_repeat: Length of the n-grams that may not occur twice in a row's caption; 0 allows all.
        limits: Tokens that are forced or forbidden besides.
    """
    given = log_probs
    size = log_probs.shape[-1]
    never, end = np.zeros((2, size), np.float32)
    never[list(NEVER)], end[END] = IMPOSSIBLE, IMPOSSIBLE
    early = xp.cast(position, "float32") < min_length
    log_probs = log_probs + xp.where(early, xp.convert_to_tensor(never + end), xp.convert_to_tensor(never))
    if no_repeat:
        log_probs = _without_repeats(xp, log_probs, tokens, position, no_repeat)
    if limits is None:
        return log_probs
    log_probs = log_probs + limits.forbidden
    if limits.phrases is not None:
        log_probs = _without_phrases(xp, log_probs, tokens, position, limits.phrases)
    return log_probs if limits.prefix is None else _with_prefix(xp, log_probs, given, position, limits.prefix)


def _with_prefix(xp: Any, log_probs: Any, given: Any, position: Any, prefix: Any) -> Any:
    """Excludes all tokens but that of the prefix, while there is one; it overrules the other constraints."""
    length = prefix.shape[0]
    token = xp.take(prefix, xp.minimum(position, length - 1), axis=0)
    token = xp.where(position < length, token, ANY)
    forced = xp.where(xp.arange(log_probs.shape[-1], dtype="int32") == token, given, IMPOSSIBLE)
    return xp.where(token == ANY, log_probs, forced)


def _without_phrases(xp: Any, log_probs: Any, tokens: Any, position: Any, phrases: Any) -> Any:
    """Excludes tokens that would complete one of the phrases (P, L)."""
    longest = phrases.shape[1]
    completed: Any = None
    for back in range(1, longest):
        before = xp.take(tokens, xp.maximum(position - back, 0), axis=1)
        before = xp.where(position >= back, before, START)[:, None]
        wanted = phrases[:, longest - 1 - back][None]
        same = xp.logical_or(wanted == ANY, wanted == before)
        completed = same if completed is None else xp.logical_and(completed, same)
    return _exclude(xp, log_probs, xp.where(completed, phrases[:, -1][None], PAD))


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
    return _exclude(xp, log_probs, completing)


def _exclude(xp: Any, log_probs: Any, completing: Any) -> Any:
    """Excludes tokens (N, …) of each row."""
    row = xp.arange(xp.shape(log_probs)[0], dtype="int32")[:, None]
    index = xp.stack([row + xp.zeros_like(completing), completing], axis=2)
    index = xp.reshape(index, (-1, 2))
    updates = xp.cast(xp.zeros_like(index[:, 0]), "float32") + IMPOSSIBLE
    return xp.scatter_update(log_probs, index, updates)
