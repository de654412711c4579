"""The registry of metrics: their names, and how plugins add more."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from capsmith.core.errors import DataError
from capsmith.core.spelling import folded, nearest
from capsmith.core.tables import RegistrationError, Table
from capsmith.metrics.bleu import Bleu
from capsmith.metrics.cider import Cider
from capsmith.metrics.cider_d import CiderD
from capsmith.metrics.grounding.hallucination import Hallucination
from capsmith.metrics.meteor import Meteor
from capsmith.metrics.metric import Metric
from capsmith.metrics.ngrams import ORDER
from capsmith.metrics.plugin_metric import Combine, Function, PluginMetric
from capsmith.metrics.rouge import Rouge
from capsmith.metrics.spice import Spice

DEFAULT = ("bleu", "rouge", "cider")
JAVA = ("meteor", "spice")
"""Metrics that need Java and the extra ``[coco]``."""


@dataclass(frozen=True)
class MetricEntry:
    """The metrics that one name selects.

    Attributes:
        description: One line for ``capsmith list metrics``.
        metrics: The metrics, one per score: four for ``bleu``, two for ``hallucination``, otherwise one.
    """

    description: str
    metrics: tuple[Metric, ...]


METRICS: Table[MetricEntry] = Table("metric")
"""All metrics by name."""
METRICS.update(
    {
        "bleu": MetricEntry(
            "BLEU-1 to BLEU-4 over the corpus (Papineni et al. 2002); bleu1 … bleu4 select one",
            tuple(Bleu(n) for n in range(1, ORDER + 1)),
        ),
        "rouge": MetricEntry("ROUGE-L, beta 1.2 (Lin 2004)", (Rouge(),)),
        "cider": MetricEntry(
            "CIDEr as papers report it, from coco-caption; its equation is CIDEr-D's (Vedantam et al. 2015)", (Cider(),)
        ),
        "cider_d": MetricEntry(
            "the same equation for rewards: document frequencies of other captions, the end as a word", (CiderD(),)
        ),
        "cider_plain": MetricEntry(
            "CIDEr as first published, without clipping and length penalty", (Cider(plain=True),)
        ),
        "meteor": MetricEntry("METEOR 1.5 (Denkowski and Lavie 2014); extra [coco] and Java", (Meteor(),)),
        "spice": MetricEntry("SPICE (Anderson et al. 2016); extra [coco], Java, and a separate download", (Spice(),)),
        "hallucination": MetricEntry(
            "the share of named objects that no reference and no detection confirms, CHAIRi, and of captions with one, "
            "CHAIRs; lower is better (Rohrbach et al. 2018)",
            (Hallucination(per_caption=False), Hallucination(per_caption=True)),
        ),
    }
)
BLEU = tuple(metric.name for metric in METRICS["bleu"].metrics)


def register_metric(
    name: str, description: str, title: str = "", combine: Combine | None = None
) -> Callable[[Function], Function]:
    """Returns a decorator that adds a metric.

    Args:
        name: Its name in ``evaluation.metrics`` and ``--metrics``.
        description: One line for ``capsmith list metrics``.
        title: Its name in tables; by default ``name``.
        combine: Computes scores from summed rows of statistics; see ``PluginMetric``.

    Raises:
        RegistrationError: The name is taken.
    """

    def register(function: Function) -> Function:
        if name not in METRICS and (taken := find(name)) is not None:
            raise RegistrationError(f"metric '{name}' is too similar to '{taken}': choose another name")
        metric = PluginMetric(name, title or name, function, combine)
        METRICS.add(name, MetricEntry(description, (metric,)), function.__module__)
        return function

    return register


def find(word: str) -> str | None:
    """Returns the name of the metric that a word such as ``BLEU-4`` or ``ROUGE-L`` denotes; None if there is none."""
    if word in METRICS or word in _by_name():
        return word
    titles = {folded(metric.title): metric.name for metric in _by_name().values()}
    return METRICS.find(word) or titles.get(folded(word))


def metric_of(name: str) -> Metric:
    """Returns the metric of a score name, such as ``bleu4``."""
    return _by_name()[name]


def title(name: str) -> str:
    """Returns the title of a score name, such as ``BLEU-4``; other names, such as those of retrieval, stay the same."""
    return metric_of(name).title if name in _by_name() else name


def lower_is_better(name: str) -> bool:
    """Returns whether better captions have a lower score of this name."""
    return name in _by_name() and metric_of(name).lower_is_better


def heading(name: str) -> str:
    """Returns the title of a score name for a table, which says so where lower is better."""
    return f"{title(name)} (lower is better)" if lower_is_better(name) else title(name)


def canonical(words: Iterable[str]) -> list[str]:
    """Returns the metric names that words denote.

    Raises:
        DataError: A word denotes no metric, or there are no words.
    """
    names = []
    for word in words:
        if (name := find(word)) is None:
            known = ", ".join(METRICS)
            raise DataError(f"metric '{word}' is not known{nearest(word, [*METRICS, *BLEU])} (one of: {known})")
        names.append(name)
    if not names:
        raise DataError(f"no metric was requested (one of: {', '.join(METRICS)})")
    return names


def expand(words: Iterable[str]) -> list[str]:
    """Returns the score names of metrics: ``bleu`` becomes ``bleu1`` to ``bleu4``, ``hallucination`` its two rates.

    Raises:
        DataError: A word denotes no metric, or there are no words.
    """
    names: dict[str, None] = {}
    for name in canonical(words):
        entry = METRICS.get(name)
        names.update(dict.fromkeys([metric.name for metric in entry.metrics] if entry is not None else (name,)))
    return list(names)


def _by_name() -> dict[str, Metric]:
    return {metric.name: metric for entry in METRICS.values() for metric in entry.metrics}
