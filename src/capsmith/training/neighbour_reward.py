"""The reward of captions against those of similar training images.

Five references describe one image in the words of five people. Captions of similar images show which of these words are
common; with them, self-critical training follows the wording of single references less closely.
"""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from capsmith.data.sources import TrainingSource
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.metrics.reward import CiderReward
from capsmith.retrieval.caption_index import CaptionIndex

References = Mapping[Hashable, Sequence[Sequence[str]]]
_SEMANTIC_WEIGHT = 0.35  # as in MBR reranking of configs/flickr8k_best.yaml
_BATCH = 256


def neighbour_reward(references: References, source: TrainingSource, vocabulary: Vocabulary, k: int) -> CiderReward:
    """Returns the CIDEr-D reward against the captions of the k most similar other training images.

    Args:
        references: For each training image, by its row in the source, its references as words.
        source: The features of the images.
        vocabulary: The words.
        k: Number of neighbours, at least 1.
    """
    rows = list(references)
    captions = [[vocabulary.encode(words) for words in references[row]] for row in rows]
    lookup = _Rows(source)
    index = CaptionIndex.build(lookup, rows, captions)  # type: ignore[arg-type]  # rows are the ids here
    neighbours: dict[Hashable, Sequence[Sequence[str]]] = {}
    for first in range(0, len(rows), _BATCH):
        batch = rows[first : first + _BATCH]
        nearest, _ = index.nearest(lookup.features(batch), k + 1, _SEMANTIC_WEIGHT)
        for place, found in enumerate(nearest.tolist(), first):
            others = [number for number in found if number != place][:k]
            neighbours[rows[place]] = [words for number in others for words in references[rows[number]]]
    return CiderReward(neighbours, references)


class _Rows:
    """Looks up features by row instead of by image id."""

    def __init__(self, source: TrainingSource) -> None:
        self._source = source

    def features(self, ids: Sequence[Hashable]) -> np.ndarray:
        """Returns features (N, D) or (N, L, D)."""
        features: np.ndarray = self._source.gather(np.array(ids, np.int64))
        return features
