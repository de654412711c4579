"""Scores captions against references, with reusable results cached between calls."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from capsmith.metrics import tokenisers
from capsmith.metrics.cider_d import CiderD
from capsmith.metrics.grounding.detections import DetectedLabels
from capsmith.metrics.grounding.hallucination import Hallucination
from capsmith.metrics.inputs import check_caption, check_ids, check_references, is_list, single_caption
from capsmith.metrics.metric import Corpus, References, Tokens
from capsmith.metrics.registry import BLEU, DEFAULT, JAVA, METRICS, expand, metric_of
from capsmith.metrics.scores import Score, signature

__all__ = ["BLEU", "DEFAULT", "JAVA", "METRICS", "Scorer", "expand", "score"]


class Scorer:
    """Scores sets of captions against the same references.

    References are checked, tokenised and counted once.

    Args:
        references: The captions of each image id, at least one.
        metrics: Names from ``METRICS``, or ``bleu1`` … ``bleu4``.
        tokeniser: ``coco``, ``simple``, ``char`` or ``none``; with ``none`` a caption may be a list of tokens.
        frequencies: References of other images (the train split) for the document frequencies of ``cider_d``;
            None takes them from the references themselves.
        frequencies_name: The name of these references in the signature.
        end: Count the end of the sentence as a word, in ``cider_d`` only.
        detections: Objects that a detector found, a second truth for ``hallucination`` besides the references.

    Attributes:
        names: The names of the scores.
        ids: The image ids, in the order of the references.
        references: The tokenised references, in the same order.

    Raises:
        DataError: References are not valid, or a metric is not known.
        CapsmithError: A program that METEOR or SPICE requires is missing.
    """

    def __init__(
        self,
        references: Mapping[Any, Sequence[Any]],
        metrics: Iterable[str] = DEFAULT,
        tokeniser: str = "coco",
        frequencies: Mapping[Any, Sequence[Any]] | None = None,
        frequencies_name: str = "other",
        end: bool = False,
        detections: DetectedLabels | None = None,
    ) -> None:
        self.names = expand(metrics)
        self.tokeniser = tokenisers.find(tokeniser)
        self._metrics = {name: metric_of(name) for name in self.names}
        for metric in self._metrics.values():
            metric.check_requirements()
        self.references = References(self._tokenised(references))
        self.ids = list(references)
        others = None if frequencies is None else self._tokenised(frequencies)
        if "cider_d" in self._metrics:
            self._metrics["cider_d"] = CiderD(others, frequencies_name, end)
        for name, metric in self._metrics.items():
            if detections is not None and isinstance(metric, Hallucination):
                self._metrics[name] = metric.with_detections(detections, self.ids)

    @property
    def tokens(self) -> Sequence[Sequence[Tokens]]:
        """The tokenised references of each image, in the order of ``ids``."""
        return self.references.tokens

    def score(self, hypotheses: Mapping[Any, Any]) -> dict[str, Score]:
        """Scores one caption per image.

        Args:
            hypotheses: The caption of each image id, or a list that contains one caption.

        Returns:
            The scores by name, in the order of ``names``.

        Raises:
            DataError: Image ids do not match, or captions are not valid.
        """
        return self.score_tokens(self.tokenise(hypotheses))

    def tokenise(self, hypotheses: Mapping[Any, Any]) -> list[Tokens]:
        """Returns the tokens of captions in the order of ``ids``; raises the errors of ``score``."""
        check_ids(hypotheses, self.ids)
        unwrap = self.tokeniser.name != "none"
        captions = ((key, single_caption(hypotheses[key], key) if unwrap else hypotheses[key]) for key in self.ids)
        return [self._split(caption, key) for key, caption in captions]

    def score_tokens(self, hypotheses: Sequence[Tokens]) -> dict[str, Score]:
        """Scores tokenised captions, in the order of ``ids``."""
        corpus = Corpus(hypotheses, self.references)
        return {name: self._score(name, corpus) for name in self.names}

    def without_reference(self, number: int) -> "Scorer":
        """Returns a scorer without the ``number``-th reference of each image; it shares the tokens."""
        other = object.__new__(Scorer)
        other.__dict__.update(self.__dict__)
        other.references = References([[*group[:number], *group[number + 1 :]] for group in self.tokens])
        return other

    def _score(self, name: str, corpus: Corpus) -> Score:
        metric = self._metrics[name]
        statistics = metric.statistics(corpus)
        per_image = dict(zip(self.ids, metric.per_image(statistics).tolist(), strict=True))
        value = float(metric.combine(statistics.sum(axis=0)))
        return Score(name, value, per_image, self._signature(name), statistics, metric.combine)

    def _signature(self, name: str) -> str:
        sizes = [len(group) for group in self.tokens]
        span, extra = (min(sizes), max(sizes)), self._metrics[name].signature()
        return signature(name, self.tokeniser.tag, self.tokeniser.case, span, len(self.ids), *extra)

    def _tokenised(self, references: Mapping[Any, Sequence[Any]]) -> list[list[Tokens]]:
        check_references(references)
        return [[self._split(caption, key) for caption in group] for key, group in references.items()]

    def _split(self, caption: Any, key: Any) -> Tokens:
        if self.tokeniser.name == "none" and is_list(caption):
            return [check_caption(token, key) for token in caption]
        return self.tokeniser(check_caption(caption, key))


def score(
    hypotheses: Mapping[Any, Any],
    references: Mapping[Any, Sequence[Any]],
    metrics: Iterable[str] = DEFAULT,
    tokeniser: str = "coco",
) -> dict[str, Score]:
    """Scores captions against references.

    Args:
        hypotheses: The caption of each image id.
        references: The reference captions of each image id.
        metrics: Names from ``METRICS``, or ``bleu1`` … ``bleu4``.
        tokeniser: ``coco``, ``simple``, ``char`` or ``none``; with ``none`` a caption may be a list of tokens.

    Returns:
        The scores by name, in the order of ``metrics``.

    Raises:
        DataError: Image ids do not match, captions are not valid, or a metric is not known.
        CapsmithError: A program that METEOR or SPICE requires is missing.
    """
    return Scorer(references, metrics, tokeniser).score(hypotheses)
