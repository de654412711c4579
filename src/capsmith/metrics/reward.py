"""The reward of self-critical training: CIDEr-D against cached references (Rennie et al. 2017)."""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from capsmith.core.errors import DataError
from capsmith.metrics.bleu import bleu_counts, bleu_from_counts
from capsmith.metrics.cider import CiderScorer
from capsmith.metrics.cider_d import END
from capsmith.metrics.ngrams import ORDER, ReferenceNgrams

Groups = Mapping[Hashable, Sequence[Sequence[Hashable]]]
"""The references of each image as token sequences."""


class CiderReward:
    """Scores batches of captions against references whose n-grams are counted once.

    Args:
        references: For each image id its references as tokens: strings or integers, the same as in the hypotheses.
        frequencies: References for the document frequencies, in the same form; None takes them from ``references``.
        end: A token that is appended to each finished sentence, which rewards stopping in the right place; None
            appends nothing.
        bleu: Weight of the sentence's BLEU-4 (unsmoothed, scaled to 0 to 10 like CIDEr-D) in the reward.

    Raises:
        DataError: There are no references, or an image has none.
    """

    def __init__(
        self,
        references: Groups,
        frequencies: Groups | None = None,
        end: Hashable | None = END,
        bleu: float = 0.0,
    ) -> None:
        empty = [key for key, group in references.items() if not group]
        if not references or empty:
            raise DataError(f"no references for image {empty[0]}" if empty else "no references")
        self._end = () if end is None else (end,)
        self._number = {key: number for number, key in enumerate(references)}
        others = [] if frequencies is None else [self._ended(group) for group in frequencies.values()]
        ngrams = ReferenceNgrams([self._ended(group) for group in references.values()], others)
        self._cider = CiderScorer(ngrams, others=frequencies is not None)
        self._bleu = bleu

    def reward(
        self,
        ids: Sequence[Hashable],
        hypotheses: Sequence[Sequence[Hashable]],
        finished: Sequence[bool] | None = None,
    ) -> NDArray[np.float64]:
        """Scores a batch.

        Args:
            ids: The image of each hypothesis, (S,); an image may occur several times.
            hypotheses: S token sequences without their end token.
            finished: Whether each sentence ended before the length limit, (S,); only finished sentences get the end
                token. None: all are finished.

        Returns:
            (S,): CIDEr-D, 0 to 10, plus the weighted BLEU-4.

        Raises:
            DataError: An image has no references.
        """
        try:
            images = np.fromiter((self._number[key] for key in ids), np.int64, len(ids))
        except KeyError as error:
            raise DataError(f"no references for image {error.args[0]}") from None
        references = self._cider.references
        counts = references.index.encode(self._ended(hypotheses, finished))
        reward = self._cider.scores(counts, images)
        if self._bleu:
            rows = bleu_counts(counts, images, references).astype(np.float64)
            reward = reward + self._bleu * 10.0 * bleu_from_counts(rows, ORDER)
        return reward

    def _ended(
        self, sentences: Sequence[Sequence[Hashable]], finished: Sequence[bool] | None = None
    ) -> list[tuple[Hashable, ...]]:
        if finished is None:
            return [(*sentence, *self._end) for sentence in sentences]
        pairs = zip(sentences, finished, strict=True)
        return [(*sentence, *self._end) if done else tuple(sentence) for sentence, done in pairs]
