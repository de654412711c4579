"""ROUGE-L against several references (Lin 2004), as coco-caption counts it.

    P = max over references of LCS/|hypothesis|,  R = max of LCS/|reference|,  F = (1 + β²)PR / (R + β²P),  β = 1.2

P and R may come from different references. The longest common subsequence is computed with one bit a token
(Crochemore et al. 2001; Hyyrö 2004), on Python's unlimited integers: any length works.
"""

from collections.abc import Hashable, Sequence

BETA = 1.2


def common_length(masks: dict[Hashable, int], length: int, other: Sequence[Hashable]) -> int:
    """Returns the length of the longest common subsequence.

    Args:
        masks: For each token of the first sequence the bits of its places, as ``places`` gives them.
        length: Tokens of the first sequence.
        other: The second sequence.
    """
    full = (1 << length) - 1
    row = full  # a zero bit marks a place where the subsequence grows
    for token in other:
        here = row & masks.get(token, 0)
        row = ((row + here) | (row - here)) & full
    return length - row.bit_count()


def places(tokens: Sequence[Hashable]) -> dict[Hashable, int]:
    """Returns the places of each token as the bits of an integer."""
    masks: dict[Hashable, int] = {}
    for place, token in enumerate(tokens):
        masks[token] = masks.get(token, 0) | 1 << place
    return masks


def rouge_l(hypothesis: Sequence[Hashable], references: Sequence[Sequence[Hashable]]) -> float:
    """Scores one hypothesis.

    Args:
        hypothesis: Its tokens. No tokens count as one empty token, as in coco-caption.
        references: The tokens of each reference, at least one.

    Returns:
        A fraction between 0 and 1.
    """
    hypothesis = hypothesis or ("",)
    masks = places(hypothesis)
    precision = recall = 0.0
    for reference in references:
        common = common_length(masks, len(hypothesis), reference or ("",))
        precision = max(precision, common / len(hypothesis))
        recall = max(recall, common / max(1, len(reference)))
    if precision == 0:
        return 0.0
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)
