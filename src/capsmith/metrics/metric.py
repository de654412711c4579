"""The ``Metric`` interface, and the data that metrics read.

A metric computes one row of statistics per image, and a score from the sum of any rows. Bootstrap intervals and
paired tests resample rows, so nothing is scored twice (the design follows sacrebleu).

N images · S statistics per image.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from capsmith.metrics import resampling
from capsmith.metrics.ngrams import Counts, Ints, ReferenceNgrams

Floats = NDArray[np.float64]
Tokens = list[str]
T = TypeVar("T")


class _Memo:
    """An object that caches results computed from it."""

    def __init__(self) -> None:
        self._results: dict[Hashable, Any] = {}

    def cached(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Returns the result of ``compute``, which runs only once per key."""
        if key not in self._results:
            self._results[key] = compute()
        result: T = self._results[key]
        return result


class References(_Memo):
    """The references of N images. Metrics cache their one-time computations here, such as n-gram counts.

    Args:
        tokens: The tokenised references of each image, at least one per image.
    """

    def __init__(self, tokens: Sequence[Sequence[Tokens]]) -> None:
        super().__init__()
        self.tokens = tokens

    @cached_property
    def ngrams(self) -> ReferenceNgrams:
        """The n-grams of the references, counted on first use."""
        return ReferenceNgrams(self.tokens)


class Corpus(_Memo):
    """One hypothesis per image with the references of that image.

    Args:
        hypotheses: The tokenised hypotheses, in the order of the references.
        references: The references.
    """

    def __init__(self, hypotheses: Sequence[Tokens], references: References) -> None:
        super().__init__()
        self.hypotheses, self.references = hypotheses, references

    @cached_property
    def images(self) -> Ints:
        """The image number of each hypothesis, (N,)."""
        return np.arange(len(self.hypotheses), dtype=np.int64)

    @cached_property
    def counts(self) -> Counts:
        """The n-gram counts of the hypotheses, in the numbering of ``references.ngrams``."""
        return self.references.ngrams.index.encode(self.hypotheses)


class Metric(ABC):
    """A metric.

    Attributes:
        name: The name of its score, such as ``bleu4``.
        title: The name as papers print it, such as ``BLEU-4``.
        lower_is_better: Whether better captions score lower, as with an error rate.
    """

    name: str
    title: str
    lower_is_better: bool = False

    @abstractmethod
    def statistics(self, corpus: Corpus) -> Floats:
        """Returns one row of statistics per image, (N, S)."""

    @abstractmethod
    def combine(self, summed: Floats) -> Floats:
        """Computes scores from summed rows: (…, S) to (…)."""

    def per_image(self, statistics: Floats) -> Floats:
        """Returns the score of each image alone, (N,)."""
        return self.combine(statistics)

    def signature(self) -> tuple[str, ...]:
        """Returns the ``key:value`` parts that this metric adds to the signature of its score."""
        return ()

    def check_requirements(self) -> None:  # noqa: B027  most metrics have none
        """Raises CapsmithError when a program or package that the metric needs is missing."""


class MeanMetric(Metric):
    """A metric whose score is the mean over images."""

    @abstractmethod
    def values(self, corpus: Corpus) -> Floats:
        """Returns the score of each image, (N,)."""

    def statistics(self, corpus: Corpus) -> Floats:
        """Returns rows of (score, 1), (N, 2)."""
        values = self.values(corpus)
        return np.column_stack([values, np.ones(len(values))])

    def combine(self, summed: Floats) -> Floats:
        """Computes means from summed rows: (…, 2) to (…)."""
        return resampling.mean(summed)
