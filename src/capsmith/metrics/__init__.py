"""Scores for captions: BLEU, ROUGE-L, CIDEr and CIDEr-D; METEOR and SPICE with the extra ``[coco]``.

scores = capsmith.metrics.score({"a.jpg": "a dog runs"}, {"a.jpg": ["a dog is running", "the dog runs"]})
scores["bleu4"].value, scores["cider"].per_image["a.jpg"], scores["rouge"].interval, scores["bleu1"].signature
"""

from typing import TYPE_CHECKING

from capsmith.core.lazy_names import lazy_names

if TYPE_CHECKING:
    from capsmith.metrics.metric import Corpus, MeanMetric, Metric
    from capsmith.metrics.registry import DEFAULT, METRICS, register_metric
    from capsmith.metrics.reward import CiderReward
    from capsmith.metrics.scorer import Scorer, score
    from capsmith.metrics.scores import Score
    from capsmith.metrics.tokenisers import TOKENISERS

_MODULES = {
    "DEFAULT": "registry",
    "METRICS": "registry",
    "TOKENISERS": "tokenisers",
    "CiderReward": "reward",
    "Corpus": "metric",
    "MeanMetric": "metric",
    "Metric": "metric",
    "Score": "scores",
    "Scorer": "scorer",
    "register_metric": "registry",
    "score": "scorer",
}
__all__ = [  # noqa: PLE0604
    "DEFAULT",
    "METRICS",
    "TOKENISERS",
    "CiderReward",
    "Corpus",
    "MeanMetric",
    "Metric",
    "Score",
    "Scorer",
    "register_metric",
    "score",
]

__getattr__ = lazy_names(__name__, {name: f"{__name__}.{module}" for name, module in _MODULES.items()})
