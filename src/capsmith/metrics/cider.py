"""CIDEr and CIDEr-D (Vedantam, Zitnick and Parikh 2015).

    g(c)    = tf · (log N - log max(1, df))                 eq. 1; N images, df of them with the n-gram
    CIDEr_n = 1/m Σ_j  g(c)·g(s_j) / (|g(c)| |g(s_j)|)      eq. 2, plain CIDEr
    D_n     = 1/m Σ_j  e^(-(l_c - l_j)² / 2σ²) · min(g(c), g(s_j))·g(s_j) / (|g(c)| |g(s_j)|)
                                                            section 6, CIDEr-D; σ = 6
    score   = 10 · mean over n = 1…4                        the same factor for all three names

What papers print as "CIDEr" comes from coco-caption, and coco-caption's ``Cider`` computes CIDEr-D: clipped and
with the length penalty, line for line what the authors call ``ciderD``. So three names, and the truth about each:

- ``cider``: what coco-caption prints and papers report: CIDEr-D's equation, document frequencies from the very
  references that are scored. Equal to pycocoevalcap to 1e-9.
- ``cider_d``: the same equation, made for use as a reward (Rennie et al. 2017): document frequencies may come from
  other references (the train split) and the end of the sentence may count as a word. With neither it equals ``cider``.
- ``cider_plain``: eq. 2 as published, without clipping and length penalty. Nearly nobody reports it.

Lengths are counted in bigrams, as the authors' code does: it matters only for captions of under two words.
"""

import math
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from capsmith.core.errors import DataError
from capsmith.metrics.bleu import from_statistics, statistics
from capsmith.metrics.ngrams import ORDER, Counts, Ints, ReferenceNgrams

Floats = NDArray[np.float64]
SIGMA = 6.0
END = "<end>"


class Cider:
    """CIDEr-D (or plain CIDEr) against cached references.

    Args:
        references: The references' n-grams.
        plain: Neither clip nor penalise lengths.
        others: Take document frequencies from ``references.others`` and not from the references themselves.
    """

    def __init__(self, references: ReferenceNgrams, plain: bool = False, others: bool = False) -> None:
        self.references, self.plain = references, plain
        self.images = references.other_images if others else references.images
        found = references.other_frequency if others else references.document_frequency
        self._idf = np.append(_idf(found, self.images), math.log(self.images))  # the last: never seen
        self._weight = references.count * self._idf[references.gram]
        self._norm = _norms(references.reference, references.order, self._weight, len(references.image_of))
        self._bigrams = np.maximum(0, np.array([n - 1 for group in references.lengths for n in group], np.int64))
        self._group_size = np.array([len(group) for group in references.lengths], np.int64)
        self._first = np.cumsum(self._group_size) - self._group_size

    def scores(self, hypotheses: Counts, images: Ints) -> Floats:
        """Scores hypotheses, each against the references of its image.

        Args:
            hypotheses: The n-grams of S hypotheses, encoded with ``references.index``.
            images: The image of each hypothesis, (S,).

        Returns:
            (S,): 0 to 10.
        """
        return self.by_order(hypotheses, images).mean(axis=1)

    def by_order(self, hypotheses: Counts, images: Ints) -> Floats:
        """Returns the scores for each n, (S, 4); their mean is the score."""
        weight = hypotheses.count * self._idf[np.minimum(hypotheses.gram, len(self._idf) - 1)]
        norm = _norms(hypotheses.sentence, hypotheses.order, weight, len(hypotheses.length))
        rows, groups = self.references.find(images[hypotheses.sentence], hypotheses.gram)
        source, row = self.references.rows(groups)
        mine, theirs = weight[rows][source], self._weight[row]
        product = (mine if self.plain else np.minimum(mine, theirs)) * theirs
        # One cell for each pair (hypothesis, reference of its image) and order.
        size = self._group_size[images]
        start = np.cumsum(size) - size
        sentence = hypotheses.sentence[rows][source]
        reference = self.references.reference[row]
        pair = start[sentence] + reference - self._first[images[sentence]]
        cell, cells = pair * ORDER + self.references.order[row], int(size.sum()) * ORDER
        dots = np.bincount(cell, weights=product, minlength=cells)
        cosines: Floats = dots.astype(np.float64).reshape(-1, ORDER)  # NumPy sums nothing to integers
        owner = np.repeat(np.arange(len(size)), size)
        against = np.arange(len(owner)) - start[owner] + self._first[images[owner]]
        scale = norm[owner] * self._norm[against]
        np.divide(cosines, scale, out=cosines, where=scale != 0)
        if not self.plain:
            apart = np.maximum(0, hypotheses.length - 1)[owner] - self._bigrams[against]
            cosines *= np.exp(-(apart**2) / (2 * SIGMA**2))[:, None]
        return 10.0 * np.add.reduceat(cosines, start) / size[:, None]


class CiderD:
    """CIDEr-D as a reward, quick for batches against cached references.

    Args:
        references: For each image id its references as tokens (strings or integers, as the hypotheses will be).
        frequencies: References for document frequencies, in the same form; None takes them from ``references``.
        bleu: Adds so many times each sentence's BLEU-4 (unsmoothed, 0 to 10 as CIDEr-D is) to the reward.
        end: A token put at the end of each finished sentence, so that stopping in the right place earns points and
            breaking off does not; None counts no end.

    Raises:
        DataError: No references, or an image without any.
    """

    def __init__(
        self,
        references: Mapping[Hashable, Sequence[Sequence[Hashable]]],
        frequencies: Mapping[Hashable, Sequence[Sequence[Hashable]]] | None = None,
        end: Hashable | None = END,
        bleu: float = 0.0,
    ) -> None:
        empty = [key for key, group in references.items() if not group]
        if not references or empty:
            raise DataError(f"no references for image {empty[0]}" if empty else "no references")
        self._end = () if end is None else (end,)
        self._number = {key: number for number, key in enumerate(references)}
        others = [] if frequencies is None else [self._ended(group) for group in frequencies.values()]
        grams = ReferenceNgrams([self._ended(group) for group in references.values()], others)
        self._cider = Cider(grams, others=frequencies is not None)
        self._bleu = bleu

    def reward(
        self,
        ids: Sequence[Hashable],
        hypotheses: Sequence[Sequence[Hashable]],
        finished: Sequence[bool] | None = None,
    ) -> Floats:
        """Scores a batch.

        Args:
            ids: The image of each hypothesis, (S,); an image may come several times.
            hypotheses: S token sequences without their end token.
            finished: Which sentences ended by themselves and did not break off at the greatest length, (S,); only
                they get the end token. None: all.

        Returns:
            (S,): CIDEr-D from 0 to 10, and what ``bleu`` adds.

        Raises:
            DataError: An id has no references.
        """
        try:
            images = np.fromiter((self._number[key] for key in ids), np.int64, len(ids))
        except KeyError as error:
            raise DataError(f"no references for image {error.args[0]}") from None
        references = self._cider.references
        counts = references.index.encode(self._ended(hypotheses, finished))
        reward = self._cider.scores(counts, images)
        if self._bleu:
            each = statistics(counts, images, references).astype(np.float64)
            reward = reward + self._bleu * 10.0 * from_statistics(each, ORDER)
        return reward

    def _ended(
        self, sentences: Sequence[Sequence[Hashable]], finished: Sequence[bool] | None = None
    ) -> list[tuple[Hashable, ...]]:
        if finished is None:
            return [(*sentence, *self._end) for sentence in sentences]
        pairs = zip(sentences, finished, strict=True)
        return [(*sentence, *self._end) if done else tuple(sentence) for sentence, done in pairs]


def _idf(frequencies: Ints, images: int) -> Floats:
    """Returns log N - log max(1, df), exactly 0 where df = N."""
    values, inverse = np.unique(np.maximum(1, frequencies), return_inverse=True)
    table = np.array([math.log(images) - math.log(value) for value in values.tolist()], np.float64)
    return table[inverse]


def _norms(sentence: Ints, order: Ints, weight: Floats, sentences: int) -> Floats:
    """Returns the Euclidean norm of each sentence's weights by order, (S, 4)."""
    squares = np.bincount(sentence * ORDER + order, weights=weight**2, minlength=sentences * ORDER)
    return np.sqrt(squares).reshape(-1, ORDER)
