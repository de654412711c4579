"""A network as it was before training: its probabilities are the targets of the captions that a training repeats.

P images · B captions · T tokens · V vocabulary.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from capsmith.core.compilation import compiled
from capsmith.data.batches import Batches
from capsmith.models.caption_model import build_model
from capsmith.models.captioner import Captioner


class Teacher:
    """A copy of a captioner's decoder with its present weights, in float32.

    Args:
        captioner: The captioner, with the weights of the model that it starts from and a frozen encoder.
    """

    def __init__(self, captioner: Captioner) -> None:
        model = build_model(captioner.config, captioner.vocabulary, captioner.feature_shape)
        self._decoder = model.decoder
        for mine, weight in zip(model.decoder.weights, captioner.model.decoder.weights, strict=True):
            mine.assign(np.array(ops.convert_to_numpy(weight)))  # JAX training frees the arrays of the model
        self._functions: dict[tuple[int, bool], Callable[..., Any]] = {}  # a recurrence is traced once for each length

    def probabilities(self, inputs: dict[str, Any]) -> Any:
        """Returns the probability of each word at each place of a batch, (B, T, V).

        Args:
            inputs: Those of ``data.batches.Batches``.
        """
        tokens, image = inputs["tokens"], inputs.get("image")
        key = (tokens.shape[1], image is None)
        if key not in self._functions:
            self._functions[key] = compiled(self._grouped if image is None else self._by_image, self._decoder)
        features = np.asarray(inputs["features"], np.float32)
        return self._functions[key](*(ops.convert_to_tensor(v) for v in (features, tokens, image) if v is not None))

    def _grouped(self, features: Any, tokens: Any) -> Any:
        return ops.softmax(self._decoder(features, tokens), axis=-1)

    def _by_image(self, features: Any, tokens: Any, image: Any) -> Any:
        return ops.softmax(self._decoder(features, tokens, image), axis=-1)


class TaughtBatches(Batches):
    """Batches with the probabilities of a teacher, ``"teacher"`` (B, T, V)."""

    teacher: Teacher

    def finalize(self, batch: tuple[dict[str, Any], np.ndarray]) -> tuple[dict[str, Any], np.ndarray]:
        """Adds the probabilities to a loaded batch."""
        inputs, targets = batch
        return {**inputs, "teacher": self.teacher.probabilities(inputs)}, targets
