"""CIDEr as papers report it, and plain CIDEr (Vedantam, Zitnick and Parikh 2015). ``tfidf`` has the equations.

    score = 10 · mean over n = 1…4 · mean over references of s_n

The "CIDEr" that papers print comes from coco-caption, whose ``Cider`` computes CIDEr-D: clipped and with the length
penalty, line for line what the authors call ``ciderD``. Hence three names:

- ``cider``: what coco-caption prints and papers report. It uses the equation of CIDEr-D, with document frequencies
  from the references that are scored. Equal to pycocoevalcap to 1e-9.
- ``cider_d``: the same equation with the options of a reward (Rennie et al. 2017): document frequencies may come from
  other references (the train split), and the end of the sentence may count as a word. Without these options it equals
  ``cider``.
- ``cider_plain``: eq. 2 as published, without clipping and length penalty. It is rarely reported.
"""

import numpy as np
from numpy.typing import NDArray

from capsmith.metrics.metric import Corpus, MeanMetric, References
from capsmith.metrics.ngrams import ORDER, Counts, Ints, ReferenceNgrams
from capsmith.metrics.tfidf import Pairs, Vectors, inverse_document_frequency, match_similarities, similarities

Floats = NDArray[np.float64]


class CiderScorer:
    """CIDEr against references whose vectors are computed once.

    Args:
        references: The n-grams of the references.
        plain: Use plain CIDEr: no clipping and no length penalty.
        others: Take document frequencies from ``references.others``, not from the references.
    """

    def __init__(self, references: ReferenceNgrams, plain: bool = False, others: bool = False) -> None:
        self.references, self.plain = references, plain
        images = references.other_images if others else references.images
        frequency = references.other_frequency if others else references.document_frequency
        self._idf = inverse_document_frequency(frequency, images)
        self._vectors = Vectors.of(references.counts, self._idf)
        self._group_size = np.array([len(group) for group in references.lengths], np.int64)
        self._first = np.cumsum(self._group_size) - self._group_size

    def scores(self, hypotheses: Counts, images: Ints) -> Floats:
        """Scores each hypothesis against the references of its image.

        Args:
            hypotheses: The n-grams of S hypotheses, encoded with ``references.index``.
            images: The image number of each hypothesis, (S,).

        Returns:
            (S,): 0 to 10.
        """
        pairs = self._pairs(hypotheses, images)
        by_pair = similarities(Vectors.of(hypotheses, self._idf), self._vectors, pairs, self.plain)
        size = self._group_size[images]
        by_order = 10.0 * np.add.reduceat(by_pair, np.cumsum(size) - size) / size[:, None]
        scores: Floats = by_order.mean(axis=1)
        return scores

    def contributions(self, hypotheses: Counts, images: Ints) -> Floats:
        """Returns the points that each n-gram of the hypotheses adds to its score, (E,); arguments as ``scores``."""
        pairs = self._pairs(hypotheses, images)
        shares = match_similarities(Vectors.of(hypotheses, self._idf), self._vectors, pairs, self.plain)
        summed = np.bincount(pairs.hypothesis_row, weights=shares, minlength=len(hypotheses.gram))
        return 10.0 * summed / ORDER / self._group_size[images[hypotheses.sentence]]

    def _pairs(self, hypotheses: Counts, images: Ints) -> Pairs:
        """Pairs each hypothesis with each reference of its image."""
        rows, groups = self.references.find(images[hypotheses.sentence], hypotheses.gram)
        source, reference_row = self.references.rows(groups)
        hypothesis_row = rows[source]
        size = self._group_size[images]
        start = np.cumsum(size) - size
        owner = np.repeat(np.arange(len(size)), size)
        sentence = hypotheses.sentence[hypothesis_row]
        reference = self.references.counts.sentence[reference_row]
        return Pairs(
            hypothesis=owner,
            reference=np.arange(len(owner)) - start[owner] + self._first[images[owner]],
            pair=start[sentence] + reference - self._first[images[sentence]],
            hypothesis_row=hypothesis_row,
            reference_row=reference_row,
        )


class Cider(MeanMetric):
    """CIDEr.

    Args:
        plain: Use plain CIDEr: no clipping and no length penalty.
    """

    def __init__(self, plain: bool = False) -> None:
        self.plain = plain
        self.name = "cider_plain" if plain else "cider"
        self.title = "CIDEr plain" if plain else "CIDEr"

    def scorer(self, references: References) -> CiderScorer:
        """Returns the scorer of references, created on first use."""
        return references.cached(("cider", self.plain), lambda: CiderScorer(references.ngrams, self.plain))

    def values(self, corpus: Corpus) -> Floats:
        """Returns the CIDEr of each image, 0 to 10, (N,)."""
        return self.scorer(corpus.references).scores(corpus.counts, corpus.images)

    def signature(self) -> tuple[str, ...]:
        """Returns the source of the document frequencies."""
        return ("df:references",)
