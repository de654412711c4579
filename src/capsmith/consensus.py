"""Choosing, among the captions that a search found for one picture, the one that agrees most with the others.

K captions · G different runs of n words.

The likeliest caption is not the one that people's captions resemble most: a beam's captions are near-copies of few
ideas, and the idea that most of them share is the safer one. Each caption is scored by its mean likeness to all of
them, and likeness is CIDEr-D's (Vedantam et al. 2015, sec. 6), which the reader's metric rewards as well. This is
minimum Bayes risk decoding (Kumar and Byrne 2004) with a beam for a posterior; Devlin et al. 2015 choose by the same
consensus among captions of like training pictures.
"""

from collections.abc import Sequence

import numpy as np

from capsmith.decoding import Hypothesis

_ORDER = 4
_SIGMA = 6.0


def by_consensus(found: Sequence[Hypothesis], rarity: np.ndarray) -> list[Hypothesis]:
    """Returns one picture's captions, the one that all resemble most first; of equals the likelier one.

    Args:
        found: The captions, likeliest first.
        rarity: How much a word says, (V,): the logarithm of one over its share of captions. A run of words says as
            much as its words together.
    """
    if len(found) < 3:  # each resembles the other as much as the other it
        return [*found]
    agreement = likeness([hypothesis.tokens for hypothesis in found], rarity).mean(axis=1)
    return [found[index] for index in np.argsort(-agreement, kind="stable")]


def likeness(sentences: Sequence[Sequence[int]], rarity: np.ndarray) -> np.ndarray:
    """Returns how much each sentence resembles each, (K, K), 0 to 1; rows are candidates, columns references."""
    lengths = np.array([len(sentence) for sentence in sentences])
    near = np.exp(-((lengths[:, None] - lengths[None]) ** 2) / (2 * _SIGMA**2))
    total = np.zeros((len(sentences), len(sentences)))
    for size in range(1, _ORDER + 1):
        weights = _weights(sentences, size, rarity)
        norms = np.sqrt((weights**2).sum(axis=1))
        dots = np.minimum(weights[:, None], weights[None]) * weights[None]
        scale = norms[:, None] * norms[None]
        total += np.divide(dots.sum(axis=2), scale, out=np.zeros_like(scale), where=scale > 0)
    return near * total / _ORDER


def _weights(sentences: Sequence[Sequence[int]], size: int, rarity: np.ndarray) -> np.ndarray:
    """Returns how much each run of ``size`` words counts in each sentence, (K, G)."""
    runs = [tuple(s[i : i + size]) for s in sentences for i in range(len(s) - size + 1)]
    owner = [k for k, s in enumerate(sentences) for _ in range(len(s) - size + 1)]
    number = {run: index for index, run in enumerate(dict.fromkeys(runs))}
    counts = np.zeros((len(sentences), len(number)))
    np.add.at(counts, (owner, [number[run] for run in runs]), 1.0)
    worth = np.array([sum(rarity[word] for word in run) for run in number], np.float64)
    return counts * worth
