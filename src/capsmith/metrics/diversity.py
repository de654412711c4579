"""How varied captions are, and how they behave: what a high BLEU can hide."""

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
    """Measures over a set of captions, one an image.

    Attributes:
        captions: How many there are.
        vocabulary: Different words used.
        mean_length: Words a caption.
        distinct: Share of captions that are the only one of their wording, counting each wording once:
            different wordings / captions.
        novel: Share of captions that are no training caption, word for word; None without training captions.
        repeats: Share of captions that say a run of one word or more twice in a row ("a dog a dog").
        broken: Share of captions that break off: their last word is an article, a conjunction or another English
            word that asks for more ("a man in a"). References have a few too: compare with theirs.
        mbleu4: BLEU-4 of each caption against all others (mutual BLEU): low when they differ; None for one caption.
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
        captions: Their tokens.
        training: Tokens of all training captions, for ``novel``.

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
        broken=sum(map(broken_off, wordings)) / count,
        mbleu4=mutual_bleu([wordings]) if count > 1 else None,
    )


_UNFINISHED = frozenset(
    "a an the and or but while as of with at for from to into onto near next in on by his her its their is are".split()
)
"""Words that hardly end an English sentence; "in" and "on" sometimes do, as in "looking on"."""


def broken_off(caption: Sequence[Hashable]) -> bool:
    """Tells whether a caption's last word asks for more words after it; English."""
    return bool(caption) and caption[-1] in _UNFINISHED


def repeats(caption: Sequence[Hashable]) -> bool:
    """Tells whether a run of one word or more stands twice in a row."""
    for run in range(1, len(caption) // 2 + 1):
        same = 0  # so many words in a row equal the word one run before
        for first, second in zip(caption, caption[run:], strict=False):
            same = same + 1 if first == second else 0
            if same == run:
                return True
    return False


def mutual_bleu(groups: Captions, order: int = ORDER) -> float:
    """Computes mBLEU: BLEU over all captions, each against the other captions of its group.

    A group is all captions of a test set, or the several captions that a model gave one image (Shetty et al. 2017).

    Args:
        groups: Captions as tokens; at least two in each group.
        order: n of BLEU-n.

    Returns:
        A fraction: 1 when all captions of each group are the same.
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
    return float(bleu_from_counts(summed, order))


def _highest_elsewhere(keys: Ints, count: Ints) -> Ints:
    """Returns for each row the highest count among the other rows of its key, 0 without any."""
    by_key = np.lexsort((-count, keys))
    keys, ordered = keys[by_key], count[by_key]
    start = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.zeros(0, np.int64)
    size = np.diff(np.append(start, len(keys)))
    second = np.where(size > 1, ordered[np.minimum(start + 1, max(0, len(keys) - 1))], 0)
    best = np.repeat(ordered[start], size)
    best[start] = second  # the row with the highest count looks at the next
    elsewhere = np.empty_like(best)
    elsewhere[by_key] = best
    return elsewhere


def _closest_elsewhere(lengths: Sequence[int]) -> int:
    """Sums, over captions, the length among the others that is closest; the shorter on a tie."""
    total = 0
    for length, times in (found := Counter(lengths)).items():
        if times > 1:
            total += times * length
        else:
            total += min((other for other in found if other != length), key=lambda o: (abs(o - length), o))
    return total
