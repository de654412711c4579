"""Chooses captions that differ: near-duplicates are collapsed, and each next caption is also unlike those before it.

C candidates · d dimensions.
"""

import re
from collections.abc import Sequence

import numpy as np

SAME_MEANING = 0.97
"""Cosine of two texts from which they mean the same."""
SAME_WORDS = 0.6
"""Share of common words, of all words of two captions, from which they are the same caption in other words."""
RELEVANCE = 0.7
"""Weight of the score in maximal marginal relevance; the rest is that of unlikeness. 1 ranks by score alone."""
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def words_of(caption: str) -> frozenset[str]:
    """Returns the different words of a caption."""
    return frozenset(_WORD.findall(caption.casefold()))


def word_overlap(first: frozenset[str], second: frozenset[str]) -> float:
    """Returns the number of common words over that of all words (Jaccard)."""
    together = len(first | second)
    return len(first & second) / together if together else 0.0


def choose_diverse(
    scores: np.ndarray, vectors: np.ndarray, captions: Sequence[str], count: int, relevance: float = RELEVANCE
) -> list[int]:
    """Chooses captions by maximal marginal relevance (Carbonell and Goldstein 1998).

    The next caption has the largest weighted sum of its score, scaled to 0–1 among the candidates, and its unlikeness:
    minus the largest cosine to a chosen one. A caption that is a near-duplicate of a chosen one is left out.

    Args:
        scores: Scores (C,) of the candidates.
        vectors: Unit vectors of what the candidates are matched by (C, d).
        captions: The candidates.
        count: How many to choose; fewer are returned if the others are near-duplicates.
        relevance: Weight of the score.

    Returns:
        Rows of candidates in the order in which they were chosen; the first has the best score.
    """
    if not len(scores):
        return []
    spread = float(np.ptp(scores)) or 1.0
    relevant = (scores - scores.min()) / spread
    words = [words_of(caption) for caption in captions]
    closest = np.zeros(
        len(scores), np.float32
    )  # the largest cosine to a chosen caption; below zero is as unlike as zero
    left = np.ones(len(scores), bool)
    chosen: list[int] = []
    while len(chosen) < count and left.any():
        value = np.where(left, relevance * relevant - (1 - relevance) * closest, -np.inf)
        best = int(value.argmax())
        chosen.append(best)
        cosines = vectors @ vectors[best]
        closest = np.maximum(closest, cosines)
        left &= cosines < SAME_MEANING
        left &= [word_overlap(words[best], other) < SAME_WORDS for other in words]
        left[best] = False
    return chosen
