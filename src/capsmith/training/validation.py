"""The score of a model on the dev split after every epoch: what the training loop expects of it, and for captioners."""

from collections.abc import Mapping
from typing import Any, Protocol

from capsmith.data.prepare import Prepared
from capsmith.decoding.config import GreedyConfig
from capsmith.evaluation.decode import decode_images
from capsmith.evaluation.evaluate import read_detections, tokeniser
from capsmith.metrics import Score
from capsmith.metrics.grounding.hallucination import is_hallucination
from capsmith.metrics.scorer import Scorer
from capsmith.models.captioner import Captioner

_LATER_METRICS = {"meteor", "spice", "hallucination", "chair_i", "chair_s"}
"""Metrics that are not computed after every epoch: two start Java, and no epoch is chosen by hallucinations."""


class Validation(Protocol):
    """Scores the dev split with the current weights of a model."""

    metric: str
    """Name of the score that selects the best epoch."""
    label: str
    """What the scores are of, for the log."""

    def predict(self) -> Any:
        """Returns what the model says about the dev images."""

    def scores(self, predictions: Any) -> Mapping[str, Score]:
        """Returns the scores of predictions, by metric."""


class CaptionValidation:
    """Greedy captions of the dev images, and their scores.

    Args:
        captioner: The captioner in training.
        prepared: The dev images and their features.
    """

    label = "dev (greedy)"

    def __init__(self, captioner: Captioner, prepared: Prepared) -> None:
        config = captioner.config
        self.captioner, self.source = captioner, prepared.source
        records = prepared.split("dev")
        self.ids = [record.image_id for record in records]
        self.metric = config.dev_metric
        metrics = [metric for metric in config.evaluation.metrics if metric not in _LATER_METRICS]
        references = {record.image_id: record.captions for record in records}
        if any(map(is_hallucination, config.evaluation.metrics)):  # its errors come before the training
            checked = Scorer(references, ["hallucination"], tokeniser(config), detections=read_detections(config))
            checked.score_tokens([group[0] for group in checked.tokens])
        self.scorer = Scorer(references, dict.fromkeys([*metrics, self.metric]), tokeniser(config))

    def predict(self) -> dict[str, str]:
        """Returns the greedy caption of each dev image."""
        greedy = GreedyConfig(max_length=max(self.captioner.config.decoding.max_length, 1))
        captions = decode_images(self.captioner, [self.source], self.ids, greedy)
        return {image_id: caption.text for image_id, caption in captions.items()}

    def scores(self, predictions: dict[str, str]) -> dict[str, Score]:
        """Returns the scores of captions, by metric."""
        return self.scorer.score(predictions)
