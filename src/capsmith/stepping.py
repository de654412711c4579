"""A Keras decoder as the search wants it: compiled, its state kept on the device.

P pictures · N rows of a search · V vocabulary.
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from capsmith.compiled import compiled


@dataclass(frozen=True)
class Partly:
    """Features of which a decoder shows its captions only a part.

    Attributes:
        features: (P, …).
        shown: What is shown, two arrays (P, C): see ``decoders.base.Shown``.
    """

    features: np.ndarray
    shown: tuple[np.ndarray, np.ndarray]

    def __len__(self) -> int:
        return len(self.features)


class DecoderStepper:
    """Implements ``capsmith.decoding.Stepper`` for any decoder that speaks the protocol.

    Args:
        decoder: A built decoder.
    """

    def __init__(self, decoder: keras.layers.Layer) -> None:
        def begin(features: Any) -> Any:
            return decoder.start(ops.cast(features, decoder.compute_dtype))

        def go_on(tokens: Any, parents: Any, state: Any) -> Any:
            state, shown = state
            rows = (ops.take(tensor, parents, axis=0) for tensor in state[decoder.kept :])
            logits, after = decoder.step(tokens, (*state[: decoder.kept], *rows), shown)
            return ops.log_softmax(ops.cast(logits, "float32"), axis=-1), (after, shown)

        self._begin = compiled(begin, decoder)
        self._go_on = compiled(go_on, decoder)

    def start(self, features: np.ndarray | Partly) -> Any:
        """Returns the state before the first word for features (P, …): the decoder's own, and what is shown."""
        if not isinstance(features, Partly):
            return self._begin(ops.convert_to_tensor(features)), None
        shown = tuple(ops.convert_to_tensor(mask) for mask in features.shown)
        return self._begin(ops.convert_to_tensor(features.features)), shown

    def step(self, tokens_N: np.ndarray, parents_N: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:  # noqa: N803
        """Reads a word a row; returns log probabilities (N, V) and the state after."""
        log_probs, after = self._go_on(ops.convert_to_tensor(tokens_N), ops.convert_to_tensor(parents_N), state)
        return ops.convert_to_numpy(log_probs), after
