"""ROUGE-L against several references (Lin 2004), as coco-caption computes it.

    P = max over references of LCS/|hypothesis|,  R = max of LCS/|reference|,  F = (1 + β²)PR / (R + β²P),  β = 1.2

P and R may come from different references. The longest common subsequence (LCS) is computed with one bit per token
(Crochemore et al. 2001; Hyyrö 2004) on Python's unlimited integers, so sentences may have any length.
"""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from capsmith.metrics.metric import Corpus, MeanMetric

BETA = 1.2


def common_length(masks: dict[Hashable, int], length: int, other: Sequence[Hashable]) -> int:
    """Returns the length of the longest common subsequence of two sequences.

    Args:
        masks: The positions of each token in the first sequence, as ``position_masks`` returns them.
        length: The number of tokens of the first sequence.
        other: The second sequence.
    """
    full = (1 << length) - 1
    row = full  # a zero bit marks a position where the subsequence grows
    for token in other:
        matches = row & masks.get(token, 0)
        row = ((row + matches) | (row - matches)) & full
    return length - row.bit_count()


def position_masks(tokens: Sequence[Hashable]) -> dict[Hashable, int]:
    """Returns the positions of each token as the bits of an integer."""
    masks: dict[Hashable, int] = {}
    for position, token in enumerate(tokens):
        masks[token] = masks.get(token, 0) | 1 << position
    return masks


def rouge_l(hypothesis: Sequence[Hashable], references: Sequence[Sequence[Hashable]]) -> float:
    """Scores one hypothesis.

    Args:
        hypothesis: Its tokens. An empty hypothesis counts as one empty token, as in coco-caption.
        references: The tokens of each reference, at least one.

    Returns:
        0 to 1.
    """
    hypothesis = hypothesis or ("",)
    masks = position_masks(hypothesis)
    precision = recall = 0.0
    for reference in references:
        common = common_length(masks, len(hypothesis), reference or ("",))
        precision = max(precision, common / len(hypothesis))
        recall = max(recall, common / max(1, len(reference)))
    if precision == 0:
        return 0.0
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


class Rouge(MeanMetric):
    """ROUGE-L."""

    name, title = "rouge", "ROUGE-L"

    def values(self, corpus: Corpus) -> NDArray[np.float64]:
        """Returns the ROUGE-L of each image, 0 to 1, (N,)."""
        return np.fromiter(map(rouge_l, corpus.hypotheses, corpus.references.tokens), np.float64)
