"""Metrics that plugins add as functions."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capsmith.core.errors import PluginError, one_line
from capsmith.core.loaded_plugins import plugin_errors, plugin_signature
from capsmith.metrics import resampling
from capsmith.metrics.metric import Corpus, Metric, Tokens

Floats = NDArray[np.float64]
Combine = Callable[[Floats], Floats]
Function = Callable[[Sequence[Tokens], Sequence[Sequence[Tokens]]], Any]


class PluginMetric(Metric):
    """A metric that a function computes.

    Args:
        name: Its name in a config.
        title: Its name in tables.
        function: Takes the tokens of N hypotheses and the tokens of the references of each; returns one number per
            hypothesis, (N,), or with ``combine`` one row of statistics, (N, S).
        combine: Computes scores from summed rows, (…, S) to (…); None: the score is the mean of the numbers.
    """

    def __init__(self, name: str, title: str, function: Function, combine: Combine | None) -> None:
        self.name, self.title = name, title
        self._function, self._combine = function, combine

    def statistics(self, corpus: Corpus) -> Floats:
        """Calls the function; returns its rows, or rows of (score, 1).

        Raises:
            PluginError: The function fails, or returns anything but finite numbers of the right shape.
        """
        with plugin_errors("metric", self.name):
            result = self._function(corpus.hypotheses, corpus.references.tokens)
            result = result if isinstance(result, np.ndarray) else list(result)
        axes = 1 if self._combine is None else 2
        rows = self._checked(result, len(corpus.hypotheses), "the function", axes)
        return np.column_stack([rows, np.ones(len(rows))]) if self._combine is None else rows

    def combine(self, summed: Floats) -> Floats:
        """Computes scores from summed rows."""
        return resampling.mean(summed) if self._combine is None else self._combine(summed)

    def per_image(self, statistics: Floats) -> Floats:
        """Returns the score of each image, (N,).

        Raises:
            PluginError: ``combine`` fails, or returns anything but one finite number per row.
        """
        with plugin_errors("metric", self.name):
            values = self.combine(statistics)
        return self._checked(values, len(statistics), "combine", 1)

    def signature(self) -> tuple[str, ...]:
        """Returns the plugin and the start of its SHA-256."""
        return plugin_signature("metric", self.name)

    def _checked(self, result: Any, count: int, source: str, axes: int) -> Floats:
        message = f"metric '{self.name}': {source} returned"
        required = "a number" if axes == 1 else "a row of numbers"
        try:
            numbers = np.array(result, np.float64)
        except (TypeError, ValueError) as error:
            reason = f"{one_line(error):.80}"
            raise PluginError(f"{message} no numbers ({reason}): {required} per caption is required") from error
        if numbers.ndim != axes or len(numbers) != count:
            raise PluginError(f"{message} shape {numbers.shape} for {count} captions: {required} each is required")
        if not np.isfinite(numbers).all():
            value = numbers[~np.isfinite(numbers)][0]
            raise PluginError(f"{message} {value} for a caption: numbers must be finite")
        return numbers
