"""CIDEr-D with the options of a reward; see ``cider`` for the three names of CIDEr."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from capsmith.metrics.cider import Cider, CiderScorer
from capsmith.metrics.metric import Corpus, MeanMetric, References, Tokens
from capsmith.metrics.ngrams import ReferenceNgrams

END = "<end>"


class CiderD(MeanMetric):
    """CIDEr-D.

    Args:
        frequencies: Tokenised references of other images, such as the train split, for the document frequencies;
            None takes them from the references that are scored.
        frequencies_name: The name of these references in the signature.
        end: Count the end of the sentence as a word.
    """

    name, title = "cider_d", "CIDEr-D"

    def __init__(
        self,
        frequencies: Sequence[Sequence[Tokens]] | None = None,
        frequencies_name: str = "other",
        end: bool = False,
    ) -> None:
        self.frequencies, self.end = frequencies, end
        self.source = "references" if frequencies is None else frequencies_name
        self._tail = [END] if end else []

    def values(self, corpus: Corpus) -> NDArray[np.float64]:
        """Returns the CIDEr-D of each image, 0 to 10, (N,)."""
        if self.frequencies is None and not self.end:
            return Cider().values(corpus)
        scorer = corpus.references.cached(self, lambda: self._scorer(corpus.references))
        counts = scorer.references.index.encode([[*tokens, *self._tail] for tokens in corpus.hypotheses])
        return scorer.scores(counts, corpus.images)

    def signature(self) -> tuple[str, ...]:
        """Returns the source of the document frequencies, and whether the end counts."""
        return f"df:{self.source}", f"end:{'yes' if self.end else 'no'}"

    def _scorer(self, references: References) -> CiderScorer:
        ended, others = (
            [[[*sentence, *self._tail] for sentence in group] for group in groups]
            for groups in (references.tokens, self.frequencies or [])
        )
        return CiderScorer(ReferenceNgrams(ended, others), others=bool(others))
