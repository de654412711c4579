"""Beams that compete with each other, and operations on them.

B images · K beams of a group · R rows of a group · C entries of a list · T longest caption.
"""

from typing import Any, NamedTuple


class Group(NamedTuple):
    """Beams of all images that compete with each other; R is K, or K for each bank of a grid (``grid.extend``).

    Attributes:
        live: Log probability of the unfinished hypotheses (B, R).
        tokens: Their tokens (B, R, T), padded with end tokens.
        score: Score of the finished hypotheses (B, K), best first; minus infinity if there are fewer than K.
        log_probability: Their log probability (B, K).
        finished: Their tokens (B, K, T).
    """

    live: Any
    tokens: Any
    score: Any
    log_probability: Any
    finished: Any


def merge_best(xp: Any, one: tuple[Any, ...], two: tuple[Any, ...], count: int, image: Any) -> tuple[Any, ...]:
    """Returns the ``count`` best of two lists of score (B, C), log probability (B, C) and tokens (B, C, T).

    Entries are taken from flat lists, which needs a third of the operations of ``take_along_axis``.
    """
    score, total, tokens = (xp.concatenate(pair, axis=1) for pair in zip(one, two, strict=True))
    score, order = xp.top_k(score, count)
    order = image * tokens.shape[1] + xp.cast(order, "int32")
    flat = xp.reshape(tokens, (-1, tokens.shape[2]))
    return score, xp.take(xp.reshape(total, (-1,)), order, axis=0), xp.take(flat, order, axis=0)
