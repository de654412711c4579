"""Scores for captions: BLEU, ROUGE-L, CIDEr and CIDEr-D; METEOR and SPICE with the extra ``[coco]``.

scores = capsmith.metrics.score({"a.jpg": "a dog runs"}, {"a.jpg": ["a dog is running", "the dog runs"]})
scores["bleu4"].value, scores["cider"].per_image["a.jpg"], scores["rouge"].interval, scores["bleu1"].signature
"""

from capsmith.metrics.metric import Corpus, MeanMetric, Metric
from capsmith.metrics.registry import DEFAULT, METRICS, register_metric
from capsmith.metrics.reward import CiderReward
from capsmith.metrics.scorer import Scorer, score
from capsmith.metrics.scores import Score
from capsmith.metrics.tokenisers import TOKENISERS

__all__ = [
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
