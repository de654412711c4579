"""Folding of vectors that are nearly the same: the first stands for those after it."""

import numpy as np


def fold(vectors: np.ndarray, threshold: float) -> np.ndarray:
    """Returns for each vector the vector that stands for it.

    Vectors are visited in order. One whose cosine with an earlier representative reaches the threshold is folded into
    the most similar of them, all others represent themselves. No two representatives are nearly the same, and chains
    of small differences are not merged into one group, as they would be if any two neighbours were.

    Args:
        vectors: Unit vectors (M, d), in the order of their rank.
        threshold: Cosine from which two vectors count as the same.

    Returns:
        Indices (M,), int64: representatives have their own.
    """
    vectors = np.asarray(vectors, np.float32)
    standing = np.arange(len(vectors), dtype=np.int64)
    representatives: list[int] = []
    for index in range(len(vectors)):
        if representatives:
            cosines = vectors[representatives] @ vectors[index]
            nearest = int(np.argmax(cosines))
            if cosines[nearest] >= threshold:
                standing[index] = representatives[nearest]
                continue
        representatives.append(index)
    return standing
