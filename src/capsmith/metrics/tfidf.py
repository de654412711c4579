"""TF-IDF vectors of n-grams and CIDEr's similarity between them (Vedantam, Zitnick and Parikh 2015).

    g(c) = tf · (log N - log max(1, df))                          eq. 1; N images, df of them with the n-gram
    s_n  = g(c)·g(r) / (|g(c)| |g(r)|)                            eq. 2, plain CIDEr
    s_n  = e^(-(l_c - l_r)² / 2σ²) · min(g(c), g(r))·g(r) / (|g(c)| |g(r)|)      section 6, CIDEr-D; σ = 6

This is the only implementation of these equations. Scores, rewards, the utility of MBR decoding and explanations differ
only in the pairs of captions that they compare. Lengths are counted in bigrams, as in the authors' code, which matters
only for captions of fewer than two words.

E different (sentence, n-gram) pairs · G known n-grams · M matches · P pairs of sentences · S sentences.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capsmith.metrics.ngrams import ORDER, Counts, Ints

Floats = NDArray[np.float64]
SIGMA = 6.0


@dataclass(frozen=True)
class Vectors:
    """The TF-IDF vectors of S sentences, one row for each different (sentence, n-gram).

    Attributes:
        sentence: The sentence of each row, (E,).
        order: The length of the n-gram minus one, (E,).
        weight: Its TF-IDF weight in the sentence, (E,).
        norm: The Euclidean norm of each sentence's weights by order, (S, 4).
        bigrams: The length of each sentence in bigrams, (S,).
    """

    sentence: Ints
    order: Ints
    weight: Floats
    norm: Floats
    bigrams: Ints

    @classmethod
    def of(cls, counts: Counts, idf: Floats) -> "Vectors":
        """Weighs n-gram counts.

        Args:
            counts: The counts of S sentences.
            idf: The inverse document frequency of the known n-grams and, last, of an unknown one, (G + 1,).
        """
        weight = counts.count * idf[np.minimum(counts.gram, len(idf) - 1)]
        size = len(counts.length)
        cell = counts.sentence * ORDER + counts.order
        norm = np.sqrt(np.bincount(cell, weights=weight**2, minlength=size * ORDER)).reshape(-1, ORDER)
        return cls(counts.sentence, counts.order, weight, norm, np.maximum(0, counts.length - 1))


@dataclass(frozen=True)
class Pairs:
    """The P pairs (hypothesis, reference) to compare, and the n-grams that each pair shares.

    Attributes:
        hypothesis: The hypothesis of each pair, (P,).
        reference: The reference of each pair, (P,).
        pair: The pair of each match, (M,).
        hypothesis_row: The row of each match in the vectors of the hypotheses, (M,).
        reference_row: The row of each match in the vectors of the references, (M,).
    """

    hypothesis: Ints
    reference: Ints
    pair: Ints
    hypothesis_row: Ints
    reference_row: Ints


def inverse_document_frequency(frequency: Ints, images: int) -> Floats:
    """Returns log N - log max(1, df), exactly 0 where df = N, and last the value of an unknown n-gram.

    Args:
        frequency: The number of images whose captions contain each n-gram, (G,).
        images: The number of images (N).

    Returns:
        (G + 1,)
    """
    values, inverse = np.unique(np.maximum(1, frequency), return_inverse=True)
    table = np.array([math.log(images) - math.log(value) for value in values.tolist()], np.float64)
    return np.append(table[inverse], math.log(images))


def similarities(hypotheses: Vectors, references: Vectors, pairs: Pairs, plain: bool = False) -> Floats:
    """Returns the similarity of each pair for each n, 0 to 1, (P, 4).

    Args:
        hypotheses: The vectors of the hypotheses.
        references: The vectors of the references.
        pairs: The pairs to compare.
        plain: Use plain CIDEr: no clipping and no length penalty.
    """
    cell = pairs.pair * ORDER + references.order[pairs.reference_row]
    products = _products(hypotheses, references, pairs, plain)
    dots = np.bincount(cell, weights=products, minlength=len(pairs.reference) * ORDER).astype(np.float64)
    norms, penalty = _scale(hypotheses, references, pairs, plain)
    return _divided(dots.reshape(-1, ORDER), norms) * penalty[:, None]


def match_similarities(hypotheses: Vectors, references: Vectors, pairs: Pairs, plain: bool = False) -> Floats:
    """Splits ``similarities`` into the share of each match, (M,); arguments as there."""
    products = _products(hypotheses, references, pairs, plain)
    norms, penalty = _scale(hypotheses, references, pairs, plain)
    return _divided(products, norms[pairs.pair, references.order[pairs.reference_row]]) * penalty[pairs.pair]


def _products(hypotheses: Vectors, references: Vectors, pairs: Pairs, plain: bool) -> Floats:
    ours, theirs = hypotheses.weight[pairs.hypothesis_row], references.weight[pairs.reference_row]
    return np.asarray((ours if plain else np.minimum(ours, theirs)) * theirs)


def _scale(hypotheses: Vectors, references: Vectors, pairs: Pairs, plain: bool) -> tuple[Floats, Floats]:
    """Returns the product of the norms, (P, 4), and the length penalty, (P,)."""
    norms = hypotheses.norm[pairs.hypothesis] * references.norm[pairs.reference]
    if plain:
        return norms, np.ones(len(norms))
    difference = hypotheses.bigrams[pairs.hypothesis] - references.bigrams[pairs.reference]
    return norms, np.exp(-(difference**2) / (2 * SIGMA**2))


def _divided(dots: Floats, norms: Floats) -> Floats:
    return np.divide(dots, norms, out=np.zeros_like(dots), where=norms != 0)
