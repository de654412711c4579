"""Diversity and typical faults of captions, which a high BLEU can hide."""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from capsmith.core.errors import DataError
from capsmith.metrics.bleu import bleu_from_counts
from capsmith.metrics.ngrams import ORDER, Captions, Ints, NgramIndex


@dataclass(frozen=True)
class Diversity:
    """Measures of a set of captions, one per image.

    Attributes:
        captions: The number of captions.
        vocabulary: The number of different words.
        mean_length: The mean number of words per caption.
        distinct: The number of different captions divided by the number of captions.
        novel: The share of captions that are not, word for word, a training caption; None without training captions.
        repeats: The share of captions that contain a run of words twice in a row ("a dog a dog").
        broken: The share of truncated captions, whose last word is an article, a conjunction or another English word
            that requires a continuation ("a man in a"). A few references are truncated too: compare with them.
        mbleu4: BLEU-4 of each caption against all others (mutual BLEU), low for varied captions; None for one caption.
    """

    captions: int
    vocabulary: int
    mean_length: float
    distinct: float
    novel: float | None
    repeats: float
    broken: float
    mbleu4: float | None

    def as_dict(self) -> dict[str, Any]:
        """Returns the measures by name."""
        return asdict(self)


def diversity(
    captions: Sequence[Sequence[Hashable]], training: Iterable[Sequence[Hashable]] | None = None
) -> Diversity:
    """Measures a set of captions.

    Args:
        captions: The tokens of each caption.
        training: The tokens of all training captions, for ``novel``.

    Raises:
        DataError: There are no captions.
    """
    if not captions:
        raise DataError("there are no captions to measure")
    wordings = [tuple(caption) for caption in captions]
    known = None if training is None else {tuple(caption) for caption in training}
    count = len(wordings)
    return Diversity(
        captions=count,
        vocabulary=len({token for caption in wordings for token in caption}),
        mean_length=sum(map(len, wordings)) / count,
        distinct=len(set(wordings)) / count,
        novel=None if known is None else sum(caption not in known for caption in wordings) / count,
        repeats=sum(map(repeats, wordings)) / count,
        broken=sum(map(is_truncated, wordings)) / count,
        mbleu4=mutual_bleu([wordings]) if count > 1 else None,
    )


_UNFINISHED = frozenset(
    "a an the and or but while as of with at for from to into onto near next in on by his her its their is are".split()
)
"""Words that rarely end an English sentence; "in" and "on" sometimes do, as in "looking on"."""


def is_truncated(caption: Sequence[Hashable]) -> bool:
    """Returns whether the last word of an English caption requires a continuation."""
    return bool(caption) and caption[-1] in _UNFINISHED


def repeats(caption: Sequence[Hashable]) -> bool:
    """Returns whether a caption contains a run of one or more words twice in a row."""
    for run in range(1, len(caption) // 2 + 1):
        same = 0  # consecutive words that equal the word one run before
        for first, second in zip(caption, caption[run:], strict=False):
            same = same + 1 if first == second else 0
            if same == run:
                return True
    return False


def mutual_bleu(groups: Captions) -> float:
    """Computes mBLEU: BLEU over all captions, with the other captions of the group as references.

    A group is a test set, or the captions that a model generated for one image (Shetty et al. 2017).

    Args:
        groups: Tokenised captions, at least two per group.

    Returns:
        0 to 1; 1 when all captions of each group are equal.
    """
    sentences = [sentence for group in groups for sentence in group]
    group = np.repeat(np.arange(len(groups)), [len(g) for g in groups])
    index = NgramIndex(sentences)
    counts = index.counts
    other = _highest_elsewhere(group[counts.sentence] * max(1, index.size) + counts.gram, counts.count)
    matches = np.bincount(counts.order, weights=np.minimum(counts.count, other), minlength=ORDER)
    totals = np.maximum(0, counts.length[:, None] - np.arange(ORDER)).sum(axis=0)
    closest = sum(_closest_elsewhere([len(sentence) for sentence in g]) for g in groups)
    summed = np.concatenate([[counts.length.sum(), closest], matches, totals]).astype(np.float64)
    return float(bleu_from_counts(summed, ORDER))


def _highest_elsewhere(keys: Ints, count: Ints) -> Ints:
    """Returns for each row the highest count among the other rows with the same key, 0 without other rows."""
    by_key = np.lexsort((-count, keys))
    keys, ordered = keys[by_key], count[by_key]
    start = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.zeros(0, np.int64)
    size = np.diff(np.append(start, len(keys)))
    second = np.where(size > 1, ordered[np.minimum(start + 1, max(0, len(keys) - 1))], 0)
    best = np.repeat(ordered[start], size)
    best[start] = second  # the row with the highest count uses the next
    elsewhere = np.empty_like(best)
    elsewhere[by_key] = best
    return elsewhere


def _closest_elsewhere(lengths: Sequence[int]) -> int:
    """Sums over captions the closest length among the others, the shorter on a tie."""
    total = 0
    for length, times in (counts := Counter(lengths)).items():
        if times > 1:
            total += times * length
        else:
            total += min((other for other in counts if other != length), key=lambda o: (abs(o - length), o))
    return total
