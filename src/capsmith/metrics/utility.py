"""The pairwise utility of MBR decoding: CIDEr-D of each candidate against each caption of the evidence set.

C candidates · V captions in the evidence set. Captions are sequences of token ids.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from capsmith.metrics.ngrams import Counts, NgramIndex, document_frequency
from capsmith.metrics.tfidf import Pairs, Vectors, inverse_document_frequency, similarities

Sentences = Sequence[Sequence[int]]
_MOST_PAIRS = 250_000  # compared at once: bounds the memory


class DocumentFrequencies:
    """Document frequencies of the n-grams in the captions of a set of images.

    Args:
        captions: The captions of each image as token ids.

    Attributes:
        images: The number of images.
        index: The n-grams of the captions.
        idf: Their inverse document frequencies and, last, that of an unknown n-gram.
    """

    def __init__(self, captions: Sequence[Sentences]) -> None:
        self.images = len(captions)
        self.index = NgramIndex([sentence for group in captions for sentence in group])
        image = np.repeat(np.arange(len(captions)), [len(group) for group in captions]).astype(np.int64)
        frequency = document_frequency(self.index, image)
        self.idf = inverse_document_frequency(frequency, max(1, self.images))


def pairwise_utility(
    candidates: Sentences, evidence: Sentences, frequencies: DocumentFrequencies
) -> NDArray[np.float64]:
    """Returns the CIDEr-D, 0 to 10, of each candidate with each caption of the evidence set as its only reference.

    Args:
        candidates: C captions.
        evidence: V captions.
        frequencies: Document frequencies, usually of the training captions.

    Returns:
        (C, V)
    """
    block = max(1, _MOST_PAIRS // max(1, len(evidence)))
    if len(candidates) > block:
        starts = range(0, len(candidates), block)
        return np.concatenate([pairwise_utility(candidates[s : s + block], evidence, frequencies) for s in starts])
    counts = frequencies.index.encode([*candidates, *evidence])
    vectors = Vectors.of(counts, frequencies.idf)
    by_order = similarities(vectors, vectors, _all_pairs(counts, len(candidates)))
    utility: NDArray[np.float64] = 10.0 * by_order.mean(axis=1)
    return utility.reshape(len(candidates), len(evidence))


def _all_pairs(counts: Counts, candidates: int) -> Pairs:
    """Pairs each of the first ``candidates`` sentences with each of the others."""
    evidence = len(counts.length) - candidates
    ours = np.flatnonzero(counts.sentence < candidates)
    theirs = np.flatnonzero(counts.sentence >= candidates)
    theirs = theirs[np.argsort(counts.gram[theirs], kind="stable")]
    grams = counts.gram[theirs]
    first, last = (np.searchsorted(grams, counts.gram[ours], side) for side in ("left", "right"))
    size = last - first  # matches of each n-gram of a candidate
    hypothesis_row = np.repeat(ours, size)
    place = np.repeat(first - np.cumsum(size) + size, size) + np.arange(int(size.sum()))
    reference_row = theirs[place]
    return Pairs(
        hypothesis=np.repeat(np.arange(candidates), evidence),
        reference=np.tile(np.arange(candidates, candidates + evidence), candidates),
        pair=counts.sentence[hypothesis_row] * evidence + counts.sentence[reference_row] - candidates,
        hypothesis_row=hypothesis_row,
        reference_row=reference_row,
    )
