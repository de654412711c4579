"""Scoring: captions against references, with everything that can be cached kept between calls."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capsmith.core.loaded_plugins import plugin_signature
from capsmith.metrics import bleu, resampling, tokenisers
from capsmith.metrics.cider import END, Cider
from capsmith.metrics.inputs import check_caption, check_ids, check_references, is_list, only
from capsmith.metrics.names import BLEU, DEFAULT, JAVA, METRICS, REGISTERED, Floats, Tokens, expand
from capsmith.metrics.ngrams import ReferenceNgrams
from capsmith.metrics.rouge import rouge_l
from capsmith.metrics.scores import Score, signature

__all__ = ["BLEU", "DEFAULT", "JAVA", "METRICS", "Scorer", "expand", "score"]


class Scorer:
    """Scores sets of captions against the same references.

    References are checked, tokenised and counted once.

    Args:
        references: For each image id its captions; at least one.
        metrics: Names from ``METRICS``, or ``bleu1`` … ``bleu4``.
        tokeniser: ``coco``, ``simple``, ``char`` or ``none``; with ``none`` a caption may be a list of tokens.
        frequencies: References of other images (the train split), from which ``cider_d`` takes its document
            frequencies; None takes the references themselves.
        frequencies_name: What to call them in the signature.
        end: Count the end of the sentence as a word, in ``cider_d`` only.

    Attributes:
        ids: The images, in the order of the references.
        tokens: The references as tokens, in the same order.

    Raises:
        DataError: References that cannot be used, or a name that is not known.
        CapsmithError: METEOR or SPICE is asked for, and something that it needs is missing.
    """

    def __init__(
        self,
        references: Mapping[Any, Sequence[Any]],
        metrics: Iterable[str] = DEFAULT,
        tokeniser: str = "coco",
        frequencies: Mapping[Any, Sequence[Any]] | None = None,
        frequencies_name: str = "other",
        end: bool = False,
    ) -> None:
        self.names = expand(metrics)
        self.tokeniser = tokenisers.find(tokeniser)
        if set(self.names) & set(JAVA):
            from capsmith.metrics import java

            java.require(self.names)
        self.tokens = self._references(references)
        self.ids = list(references)
        self._frequencies = None if frequencies is None else self._references(frequencies)
        self._source, self._end = "references" if frequencies is None else frequencies_name, end
        self._grams: ReferenceNgrams | None = None
        self._ciders: dict[str, Cider] = {}

    def score(self, hypotheses: Mapping[Any, Any]) -> dict[str, Score]:
        """Scores one caption an image.

        Args:
            hypotheses: For each image id its caption, or a list holding that one caption.

        Returns:
            A score by name, in the order asked for.

        Raises:
            DataError: Ids that do not match, or captions that cannot be used.
        """
        return self.score_tokens(self.tokenise(hypotheses))

    def tokenise(self, hypotheses: Mapping[Any, Any]) -> list[Tokens]:
        """Returns the captions' tokens in the order of ``ids``; raises as ``score`` does."""
        check_ids(hypotheses, self.ids)
        split = self.tokeniser.name != "none"
        return [self._split(only(hypotheses[key], key) if split else hypotheses[key], key) for key in self.ids]

    def score_tokens(self, hypotheses: list[Tokens]) -> dict[str, Score]:
        """Scores captions that are tokens already, in the order of ``ids``."""
        tables: dict[str, _Table] = {}
        images = np.arange(len(self.ids), dtype=np.int64)
        wanted = set(self.names)
        if wanted & {*BLEU, "cider", "cider_plain"}:
            counts = self.grams.index.encode(hypotheses)
        if wanted & set(BLEU):
            statistics = bleu.statistics(counts, images, self.grams).astype(np.float64)
            tables.update({name: _bleu_table(statistics, n) for n, name in enumerate(BLEU, 1)})
        if "rouge" in wanted:
            tables["rouge"] = _mean_table(map(rouge_l, hypotheses, self.tokens))
        for name in wanted & {"cider", "cider_plain"}:
            tables[name] = _mean_table(self.cider(name).scores(counts, images), "df:references")
        if "cider_d" in wanted:
            tables["cider_d"] = self._cider_d(hypotheses, images)
        if wanted & set(JAVA):
            tables.update(self._java(hypotheses))
        for name in wanted & set(REGISTERED):
            tables[name] = _Table(*REGISTERED[name].measure(hypotheses, self.tokens), plugin_signature("metric", name))
        return {name: self._score(name, tables[name]) for name in self.names}

    def leaving_out(self, number: int) -> "Scorer":
        """Returns a scorer without each image's ``number``-th reference; tokens are shared, not computed again."""
        other = object.__new__(Scorer)
        other.__dict__.update(self.__dict__)
        other.tokens = [[*group[:number], *group[number + 1 :]] for group in self.tokens]
        other._grams, other._ciders = None, {}
        return other

    @property
    def grams(self) -> ReferenceNgrams:
        """The references' n-grams, counted when first needed."""
        if self._grams is None:
            self._grams = ReferenceNgrams(self.tokens)
        return self._grams

    def cider(self, name: str = "cider") -> Cider:
        """Returns the scorer behind ``cider`` or ``cider_plain``, made when first needed."""
        if name not in self._ciders:
            self._ciders[name] = Cider(self.grams, plain=name == "cider_plain")
        return self._ciders[name]

    def _cider_d(self, hypotheses: list[Tokens], images: NDArray[np.int64]) -> "_Table":
        note = (f"df:{self._source}", f"end:{'yes' if self._end else 'no'}")
        tail = [END] if self._end else []
        if self._frequencies is None and not tail:
            cider = self.cider()
        else:
            if "cider_d" not in self._ciders:
                ended, others = (
                    [[[*sentence, *tail] for sentence in group] for group in groups]
                    for groups in (self.tokens, self._frequencies or [])
                )
                self._ciders["cider_d"] = Cider(ReferenceNgrams(ended, others), others=bool(others))
            cider = self._ciders["cider_d"]
        counts = cider.references.index.encode([[*h, *tail] for h in hypotheses])
        return _mean_table(cider.scores(counts, images), *note)

    def _java(self, hypotheses: list[Tokens]) -> "dict[str, _Table]":
        from capsmith.metrics import java

        lines = [" ".join(h) for h in hypotheses]
        references = [[" ".join(sentence) for sentence in group] for group in self.tokens]
        tables = {}
        if "meteor" in self.names:
            statistics, each = java.meteor(lines, references)
            tables["meteor"] = _Table(statistics, java.combine_meteor, each, ("v:1.5", "lang:en"))
        if "spice" in self.names:
            tables["spice"] = _mean_table(java.spice(lines, references), "v:1.0")
        return tables

    def _score(self, name: str, table: "_Table") -> Score:
        sizes = [len(group) for group in self.tokens]
        text = signature(
            name,
            self.tokeniser.tag,
            self.tokeniser.case,
            (min(sizes), max(sizes)),
            len(self.ids),
            *table.note,
        )
        value = float(table.combine(table.statistics.sum(axis=0)))
        per_image = dict(zip(self.ids, table.each.tolist(), strict=True))
        return Score(name, value, per_image, text, table.statistics, table.combine)

    def _references(self, references: Mapping[Any, Sequence[Any]]) -> list[list[Tokens]]:
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
        hypotheses: For each image id its caption.
        references: For each image id its reference captions.
        metrics: Names from ``METRICS``, or ``bleu1`` … ``bleu4``.
        tokeniser: ``coco``, ``simple``, ``char`` or ``none``; with ``none`` a caption may be a list of tokens.

    Returns:
        A ``Score`` by name, in the order asked for.

    Raises:
        DataError: Ids that do not match, captions that cannot be used, a name that is not known.
        CapsmithError: METEOR or SPICE is asked for, and something that it needs is missing.
    """
    return Scorer(references, metrics, tokeniser).score(hypotheses)


@dataclass(frozen=True)
class _Table:
    """One metric's statistics, before they become a ``Score``."""

    statistics: Floats
    combine: Callable[[Floats], Floats]
    each: Floats
    note: tuple[str, ...] = ()


def _mean_table(values: Iterable[float], *note: str) -> _Table:
    each = np.fromiter(values, np.float64)
    return _Table(np.column_stack([each, np.ones(len(each))]), resampling.mean, each, note)


def _bleu_table(statistics: Floats, order: int) -> _Table:
    combine = functools.partial(bleu.from_statistics, order=order)  # which can be pickled
    return _Table(statistics, combine, combine(statistics), (f"order:{order}",))
