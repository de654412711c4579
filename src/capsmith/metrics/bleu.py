"""BLEU over a corpus (Papineni et al. 2002).

    BLEU-n = BP · exp(1/n · Σ_{k≤n} log p_k)     p_k: clipped k-gram precision over the corpus
    BP     = min(1, exp(1 - r/c))                r: sum of closest reference lengths, the shorter on a tie; c: tokens

On the same tokens this equals ``nltk.translate.bleu_score.corpus_bleu`` without smoothing, coco-caption's ``Bleu`` and
sacrebleu's ``corpus_bleu(smooth_method="none")``, which the tests verify. One difference is known: nltk counts one
n-gram for a caption that is too short to contain any, so a caption of fewer than four words lowers its BLEU-4.
sacrebleu, coco-caption and this module do not.
"""

import numpy as np
from numpy.typing import NDArray

from capsmith.metrics.metric import Corpus, Metric
from capsmith.metrics.ngrams import ORDER, Counts, Ints, ReferenceNgrams

Floats = NDArray[np.float64]


def bleu_counts(hypotheses: Counts, images: Ints, references: ReferenceNgrams) -> Ints:
    """Counts the statistics of BLEU for each hypothesis.

    Args:
        hypotheses: The n-grams of S hypotheses, encoded with ``references.index``.
        images: The image number of each hypothesis, (S,).
        references: The n-grams of the references.

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
        min(references.lengths[image], key=lambda r: (abs(r - length), r))
        for image, length in zip(images.tolist(), hypotheses.length.tolist(), strict=True)
    ]
    return np.column_stack([hypotheses.length, np.array(closest, np.int64), matches, totals])


def bleu_from_counts(summed: Floats, order: int) -> Floats:
    """Computes BLEU from summed counts.

    Args:
        summed: Rows of ``bleu_counts``, summed over images, (…, 10).
        order: n of BLEU-n, 1 to 4.

    Returns:
        (…): 0 to 1; 0 where an order has no match.
    """
    tokens, closest = summed[..., 0], summed[..., 1]
    matches, totals = summed[..., 2 : 2 + order], summed[..., 2 + ORDER : 2 + ORDER + order]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.log(matches / np.maximum(1, totals)).mean(axis=-1)
        penalty = np.where(tokens < closest, 1 - closest / tokens, 0.0)
        return np.where((matches > 0).all(axis=-1), np.exp(mean + penalty), 0.0)


class Bleu(Metric):
    """BLEU-n.

    Args:
        order: n, 1 to 4.
    """

    def __init__(self, order: int) -> None:
        self.order = order
        self.name, self.title = f"bleu{order}", f"BLEU-{order}"

    def statistics(self, corpus: Corpus) -> Floats:
        """Returns the rows of ``bleu_counts``, counted once for all orders, (N, 10)."""
        references = corpus.references.ngrams
        return corpus.cached("bleu", lambda: bleu_counts(corpus.counts, corpus.images, references).astype(np.float64))

    def combine(self, summed: Floats) -> Floats:
        """Computes BLEU from summed counts: (…, 10) to (…)."""
        return bleu_from_counts(summed, self.order)

    def signature(self) -> tuple[str, ...]:
        """Returns n."""
        return (f"order:{self.order}",)
