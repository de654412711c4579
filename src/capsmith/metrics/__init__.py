"""Scores for captions: BLEU, ROUGE-L, CIDEr, CIDEr-D; METEOR and SPICE through the extra ``[coco]``.

scores = capsmith.metrics.score({"a.jpg": "a dog runs"}, {"a.jpg": ["a dog is running", "the dog runs"]})
scores["bleu4"].value, scores["cider"].per_image["a.jpg"], scores["rouge"].interval, scores["bleu1"].signature
"""

from capsmith.metrics.cider import CiderD
from capsmith.metrics.names import register_metric
from capsmith.metrics.scorer import DEFAULT, METRICS, Scorer, score
from capsmith.metrics.scores import Score
from capsmith.metrics.tokenisers import TOKENISERS

__all__ = ["DEFAULT", "METRICS", "TOKENISERS", "CiderD", "Score", "Scorer", "register_metric", "score"]
