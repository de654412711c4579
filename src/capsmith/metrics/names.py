"""The names of all metrics, and how more are added."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capsmith.core.errors import DataError, PluginError, one_line
from capsmith.core.loaded_plugins import plugin_errors
from capsmith.core.schema import folded, nearest
from capsmith.core.tables import RegistrationError, Table
from capsmith.metrics import resampling
from capsmith.metrics.ngrams import ORDER
from capsmith.metrics.scores import TITLES

Floats = NDArray[np.float64]
Tokens = list[str]
Function = Callable[[Sequence[Tokens], Sequence[Sequence[Tokens]]], Any]

METRICS: Table[str] = Table("metric")
"""Every metric by name, with one line about it."""
METRICS.update(
    {
        "bleu": "BLEU-1 to BLEU-4 over the corpus (Papineni et al. 2002); bleu1 … bleu4 also alone",
        "rouge": "ROUGE-L, beta 1.2 (Lin 2004)",
        "cider": "CIDEr as papers report it, from coco-caption; its equation is CIDEr-D's (Vedantam et al. 2015)",
        "cider_d": "the same equation for rewards: document frequencies from elsewhere, the end as a word",
        "cider_plain": "CIDEr as first published, without clipping and length penalty",
        "meteor": "METEOR 1.5 (Denkowski and Lavie 2014); extra [coco] and Java",
        "spice": "SPICE (Anderson et al. 2016); extra [coco], Java, and a download of its own",
    }
)
JAVA = ("meteor", "spice")
"""Metrics that need Java and the extra ``[coco]``."""
DEFAULT = ("bleu", "rouge", "cider")
BLEU = tuple(f"bleu{n}" for n in range(1, ORDER + 1))


@dataclass(frozen=True)
class Metric:
    """A metric that was registered.

    Attributes:
        name: As in a config.
        title: As people write it.
        function: Takes the captions' tokens, and for each the tokens of its references; returns a number for each
            caption, (N,), or with ``combine`` a row of statistics, (N, S).
        combine: Turns summed rows (…, S) into values (…); None: the score is the mean of the numbers.
    """

    name: str
    title: str
    function: Function
    combine: Callable[[Floats], Floats] | None

    def measure(
        self, hypotheses: Sequence[Tokens], references: Sequence[Sequence[Tokens]]
    ) -> tuple[Floats, Callable[[Floats], Floats], Floats]:
        """Asks the function about N captions.

        Returns:
            Statistics (N, S), what combines them once they are summed, and each caption's score (N,).

        Raises:
            PluginError: The function returns something else than finite numbers of the right shape.
        """
        with plugin_errors("metric", self.name):
            given = self.function(hypotheses, references)
            given = given if isinstance(given, np.ndarray) else list(given)
        rows = self._numbers(given, len(hypotheses), "the function", 1 if self.combine is None else 2)
        if self.combine is None:
            return np.column_stack([rows, np.ones(len(rows))]), resampling.mean, rows
        with plugin_errors("metric", self.name):
            each = self.combine(rows)
        return rows, self.combine, self._numbers(each, len(rows), "combine", 1)

    def _numbers(self, given: Any, count: int, source: str, axes: int) -> Floats:
        what, wanted = f"metric '{self.name}': {source} returned", "a number" if axes == 1 else "a row of numbers"
        try:
            found = np.array(given, np.float64)
        except (TypeError, ValueError) as error:
            raise PluginError(
                f"{what} no numbers ({one_line(error):.80}): {wanted} for each caption is needed"
            ) from error
        if found.ndim != axes or len(found) != count:
            raise PluginError(f"{what} shape {found.shape} for {count} captions: {wanted} for each is needed")
        if not np.isfinite(found).all():
            raise PluginError(f"{what} {found[~np.isfinite(found)][0]} for a caption: numbers have to be finite")
        return found


REGISTERED: dict[str, Metric] = {}
"""The metrics that ``register_metric`` added, by name."""


def register_metric(
    name: str, description: str, title: str = "", combine: Callable[[Floats], Floats] | None = None
) -> Callable[[Function], Function]:
    """Returns a decorator that adds a metric.

    Args:
        name: As in ``evaluation.metrics`` and ``--metrics``.
        description: One line for ``capsmith list metrics``.
        title: As people write it; by default the name.
        combine: See ``Metric``.

    Raises:
        RegistrationError: The name is taken.
    """

    def enter(function: Function) -> Function:
        if name not in METRICS and (taken := find(name)) is not None:
            raise RegistrationError(f"metric '{name}' is too much like '{taken}': choose another name")
        METRICS.add(name, description, function.__module__)
        REGISTERED[name] = Metric(name, title or name, function, combine)
        return function

    return enter


def find(word: str) -> str | None:
    """Returns the metric that a word means, as in ``BLEU-4`` and ``ROUGE-L``; None when there is none."""
    if word in METRICS or word in BLEU:
        return word
    titles = {folded(title): name for name, title in TITLES.items()}
    return METRICS.find(word) or titles.get(folded(word))


def title(name: str) -> str:
    """Returns how people write a metric's name."""
    return TITLES[name] if name in TITLES else REGISTERED[name].title


def canonical(words: Iterable[str]) -> list[str]:
    """Returns the names that words mean.

    Raises:
        DataError: A word is no metric's name, or there is none.
    """
    names = []
    for word in words:
        if (name := find(word)) is None:
            known = ", ".join(METRICS)
            raise DataError(f"metric '{word}' is not known{nearest(word, [*METRICS, *BLEU])} (one of: {known})")
        names.append(name)
    if not names:
        raise DataError(f"no metric was asked for (one of: {', '.join(METRICS)})")
    return names


def expand(metrics: Iterable[str]) -> list[str]:
    """Turns metric names into score names: ``bleu`` becomes ``bleu1`` to ``bleu4``.

    Raises:
        DataError: A name is not known, or there is none.
    """
    names: dict[str, None] = {}
    for metric in canonical(metrics):
        names.update(dict.fromkeys(BLEU if metric == "bleu" else (metric,)))
    return list(names)
