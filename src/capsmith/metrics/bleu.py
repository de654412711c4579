"""BLEU over a corpus (Papineni et al. 2002).

    BLEU-n = BP · exp(1/n · Σ_{k≤n} log p_k)     p_k: clipped k-gram precision over the whole corpus
    BP     = min(1, exp(1 - r/c))                r: closest reference lengths summed, the shorter on a tie; c: tokens

The same as ``nltk.translate.bleu_score.corpus_bleu`` without smoothing, coco-caption's ``Bleu`` and sacrebleu's
``corpus_bleu(smooth_method="none")`` on the same tokens; the tests hold them together. One difference is known:
nltk counts one n-gram for a caption that is too short to hold any, so a caption of under four words lowers its
BLEU-4; sacrebleu and coco-caption do not, nor do we. Counts are kept per image, so that bootstrap intervals cost
no second scoring.
"""

import numpy as np
from numpy.typing import NDArray

from capsmith.metrics.ngrams import ORDER, Counts, Ints, ReferenceNgrams


def statistics(hypotheses: Counts, images: Ints, references: ReferenceNgrams) -> Ints:
    """Counts what BLEU needs, for each hypothesis.

    Args:
        hypotheses: The n-grams of S hypotheses, encoded with ``references.index``.
        images: The image of each hypothesis, (S,).
        references: The references.

    Returns:
        (S, 10): tokens, closest reference length, clipped matches of 1 to 4 words, n-grams of 1 to 4 words.
    """
    size = len(hypotheses.length)
    rows, groups = references.find(images[hypotheses.sentence], hypotheses.gram)
    clipped = np.minimum(hypotheses.count[rows], references.highest[groups])
    cell = hypotheses.sentence[rows] * ORDER + hypotheses.order[rows]
    matches = np.bincount(cell, weights=clipped, minlength=size * ORDER).reshape(size, ORDER).astype(np.int64)
    totals = np.maximum(0, hypotheses.length[:, None] - np.arange(ORDER))
    closest = [
        min(references.lengths[p], key=lambda r: (abs(r - c), r))
        for p, c in zip(images.tolist(), hypotheses.length.tolist(), strict=True)
    ]
    return np.column_stack([hypotheses.length, np.array(closest, np.int64), matches, totals])


def from_statistics(summed: NDArray[np.float64], order: int) -> NDArray[np.float64]:
    """Computes BLEU from summed counts.

    Args:
        summed: (…, 10), what ``statistics`` returns summed over images.
        order: n of BLEU-n, 1 to 4.

    Returns:
        (…): fractions between 0 and 1; 0 where an order has no match.
    """
    tokens, closest = summed[..., 0], summed[..., 1]
    matches, totals = summed[..., 2 : 2 + order], summed[..., 2 + ORDER : 2 + ORDER + order]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.log(matches / np.maximum(1, totals)).mean(axis=-1)
        penalty = np.where(tokens < closest, 1 - closest / tokens, 0.0)
        return np.where((matches > 0).all(axis=-1), np.exp(mean + penalty), 0.0)
