"""A Keras decoder as the search wants it: compiled, its state kept on the device.

P images · N rows of a search · V vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from capsmith.core.compilation import compiled
from capsmith.decoding.beam import captions_of
from capsmith.decoding.compiled import beam_loop, row_loop
from capsmith.decoding.sampling import draws, strongest_channels
from capsmith.decoding.search import (
    BeamConfig,
    DecodingConfig,
    GreedyConfig,
    Hypothesis,
    SampleConfig,
    rows_found,
)


@dataclass(frozen=True)
class MaskedFeatures:
    """Features of which a decoder shows its captions only a part.

    Attributes:
        features: (P, …).
        dropout_masks: What is dropout_masks, two arrays (P, C): see ``decoders.base.DropoutMasks``.
    """

    features: np.ndarray
    dropout_masks: tuple[np.ndarray, np.ndarray]

    def __len__(self) -> int:
        return len(self.features)

    @property
    def streams(self) -> list[tuple[int, ...]]:
        """By what samples are drawn: each image's place in the batch, since a batch of a training is always the same.

        By their features, images that are alike would be sampled alike, and the batch would say less about the model.
        """
        return [(place,) for place in range(len(self))]


class EnsembleFeatures:
    """Features of the same P images for each member of an ensemble.

    Args:
        parts: One array (P, …) for each member.
    """

    def __init__(self, parts: Sequence[np.ndarray]) -> None:
        self.parts = tuple(parts)

    def __len__(self) -> int:
        return len(self.parts[0])

    def __getitem__(self, rows: slice) -> "EnsembleFeatures":
        return EnsembleFeatures([part[rows] for part in self.parts])

    @property
    def streams(self) -> list[tuple[int, ...]]:
        """By what samples are drawn: what the first member sees."""
        return strongest_channels(self.parts[0])


Features = np.ndarray | MaskedFeatures | EnsembleFeatures


class DecoderStepper:
    """Implements ``capsmith.decoding.search.Stepper`` for any decoder that speaks the protocol.

    Args:
        decoder: A built decoder.
    """

    def __init__(self, decoder: keras.layers.Layer) -> None:
        def begin(features: Any) -> Any:
            return decoder.start(features)

        def go_on(tokens: Any, parents: Any, state: Any) -> Any:
            state, dropout_masks = state
            rows = (ops.take(tensor, parents, axis=0) for tensor in state[decoder.n_static :])
            logits, after = decoder.step(tokens, (*state[: decoder.n_static], *rows), dropout_masks)
            return _log_probabilities(logits), (after, dropout_masks)

        self.decoder = decoder
        self._begin = compiled(begin, decoder)
        self._go_on = compiled(go_on, decoder)
        self._searches: dict[tuple[Any, ...], Callable[..., Any]] = {}

    def start(self, features: Features) -> Any:
        """Returns the state before the first word for features (P, …): the decoder's own, and what is dropout_masks."""
        seen, dropout_masks = self._seen(features)
        return self._begin(seen), dropout_masks

    def at_once(self, features: Features, config: DecodingConfig) -> list[list[Hypothesis]] | None:
        """Runs a complete search on the device; None where the config asks for what ``compiled.py`` cannot do."""
        if config.no_repeat:
            return None
        if isinstance(config, BeamConfig):
            return self._beam(features, config) if config.groups == 1 else None
        if isinstance(config, SampleConfig):
            return self._rows(features, config) if config.top_k is None and config.top_p in (None, 1) else None
        return self._rows(features, config) if isinstance(config, GreedyConfig) else None

    def _beam(self, features: Features, config: BeamConfig) -> list[list[Hypothesis]]:
        sizes = (config.beam_size, config.max_length)

        def run(seen: Any, dropout_masks: Any, shortest: Any, penalty: Any) -> Any:
            step, state, images = self._opened(seen, dropout_masks, config.beam_size)
            return beam_loop(step, state, images, sizes, shortest, penalty)

        given = (*self._seen(features), _number(config.min_length), _number(config.length_penalty))
        found = self._compiled(("beam", *sizes), run)(*given)
        score, total, words, said, live = (ops.convert_to_numpy(tensor) for tensor in found)
        each = zip(score, total, words, said, live, strict=True)
        return [captions_of(*row, config=config) for row in each]

    def _rows(self, features: Features, config: GreedyConfig | SampleConfig) -> list[list[Hypothesis]]:
        samples, temperature, chance = 1, 1.0, None
        if isinstance(config, SampleConfig):
            samples, temperature = config.samples, config.temperature
            chance = ops.convert_to_tensor(draws(config.seed, config.max_length, samples, features))

        def run(seen: Any, dropout_masks: Any, shortest: Any, chance: Any, heat: Any) -> Any:
            step, state, images = self._opened(seen, dropout_masks, samples)
            return row_loop(step, state, images * samples, config.max_length, shortest, chance, heat)

        given = (*self._seen(features), _number(config.min_length), chance, _number(temperature))
        found = self._compiled((config.type, samples, config.max_length), run)(*given)
        words, total, ended = (ops.convert_to_numpy(tensor) for tensor in found)
        return rows_found(words, total, ended, samples)

    def _opened(self, features: Any, dropout_masks: Any, each: int) -> tuple[Any, list[Any], Any]:
        """Returns the step of a search over these images, the state of so many rows an image, and P."""
        decoder = self.decoder
        state = decoder.start(features)
        image, own = state[: decoder.n_static], state[decoder.n_static :]

        def step(tokens: Any, rows: Any) -> tuple[Any, list[Any]]:
            logits, after = decoder.step(tokens, (*image, *rows), dropout_masks)
            return _log_probabilities(logits), list(after[decoder.n_static :])

        return step, [ops.repeat(tensor, each, axis=0) for tensor in own], ops.shape(keras.tree.flatten(features)[0])[0]

    def _compiled(self, key: tuple[Any, ...], run: Callable[..., Any]) -> Callable[..., Any]:
        if key not in self._searches:
            self._searches[key] = compiled(run, self.decoder)
        return self._searches[key]

    def _seen(self, features: Features) -> tuple[Any, Any]:
        if isinstance(features, EnsembleFeatures):
            return tuple(ops.convert_to_tensor(part) for part in features.parts), None
        if not isinstance(features, MaskedFeatures):
            return ops.convert_to_tensor(features), None
        return ops.convert_to_tensor(features.features), tuple(
            ops.convert_to_tensor(mask) for mask in features.dropout_masks
        )

    def step(self, tokens_N: np.ndarray, parents_N: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:  # noqa: N803
        """Reads a word a row; returns log probabilities (N, V) and the state after."""
        log_probs, after = self._go_on(ops.convert_to_tensor(tokens_N), ops.convert_to_tensor(parents_N), state)
        return ops.convert_to_numpy(log_probs), after


def _log_probabilities(logits: Any) -> Any:
    return ops.log_softmax(ops.cast(logits, "float32"), axis=-1)


def _number(value: float) -> Any:
    return ops.convert_to_tensor(value, "float32")  # not a constant of the program: another value compiles nothing
