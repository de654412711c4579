"""A Keras decoder that can be searched: compiled, with its state on the device.

P images · N rows of a search · V vocabulary.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from capsmith.core.compilation import compiled
from capsmith.decoding.engine import Program, RowState, run_in_numpy
from capsmith.decoding.features import EnsembleFeatures, Features, MaskedFeatures

MOST_PROGRAMS = 32
"""Searches that are compiled; further ones run step by step. A service is asked for searches of any length and width,
and TensorFlow never frees all memory of a compiled function."""


class DecoderStepper:
    """Implements ``engine.Stepper`` for any decoder that follows the protocol, and compiles complete searches.

    Args:
        decoder: A built decoder.
    """

    def __init__(self, decoder: keras.layers.Layer) -> None:
        def start(features: Any) -> Any:
            return decoder.start(features)

        def step(tokens: Any, parents: Any, state: Any) -> Any:
            state, masks = state
            rows = (ops.take(tensor, parents, axis=0) for tensor in state[decoder.n_static :])
            logits, after = decoder.step(tokens, (*state[: decoder.n_static], *rows), masks)
            return _log_probabilities(logits), (after, masks)

        self.decoder = decoder
        self._start = compiled(start, decoder)
        self._step = compiled(step, decoder)
        self._programs: dict[Program, Callable[..., Any]] = {}

    def start(self, features: Features) -> Any:
        """Returns the state before the first token for features (P, …): the decoder's state and the dropout masks."""
        tensors, masks = _tensors(features)
        return self._start(tensors), masks

    def step(self, tokens_N: np.ndarray, parents_N: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:  # noqa: N803
        """Advances each row by one token; returns log probabilities (N, V) and the next state."""
        log_probs, after = self._step(ops.convert_to_tensor(tokens_N), ops.convert_to_tensor(parents_N), state)
        return ops.convert_to_numpy(log_probs), after

    def attention(self, state: Any) -> np.ndarray:
        """Returns the weights of the regions (N, L) for the last token; the decoder must attend."""
        return np.asarray(ops.convert_to_numpy(state[0][-1]), np.float32)

    def run_compiled(self, program: Program, features: Features, arguments: tuple[Any, ...]) -> Any:
        """Runs a search on the device as one compiled function; see ``engine.run``."""
        if program not in self._programs:
            if len(self._programs) >= MOST_PROGRAMS:
                return run_in_numpy(program, self, features, arguments)
            self._programs[program] = compiled(self._function(program), self.decoder)
        result = self._programs[program](*_tensors(features), tuple(map(_tensor, arguments)))
        return keras.tree.map_structure(ops.convert_to_numpy, result)

    def _function(self, program: Program) -> Callable[..., Any]:
        decoder = self.decoder

        def function(features: Any, masks: Any, arguments: tuple[Any, ...]) -> Any:
            state = decoder.start(features)
            static, recurrent = state[: decoder.n_static], state[decoder.n_static :]

            def step(tokens: Any, rows: Any) -> tuple[Any, list[Any]]:
                logits, after = decoder.step(tokens, (*static, *rows), masks)
                return _log_probabilities(logits), list(after[decoder.n_static :])

            def reorder(rows: Any, parents: Any) -> list[Any]:
                return [ops.take(tensor, parents, axis=0) for tensor in rows]

            rows = [ops.repeat(tensor, program.rows, axis=0) for tensor in recurrent]
            images = ops.shape(keras.tree.flatten(features)[0])[0]
            return program(ops, RowState(step, reorder, rows, images), *arguments)

        return function


def _tensor(argument: Any) -> Any:
    """Returns an argument of a program with tensors in place of its arrays."""
    if isinstance(argument, tuple):
        return type(argument)(*map(_tensor, argument))
    return None if argument is None else ops.convert_to_tensor(argument)


def _tensors(features: Features) -> tuple[Any, Any]:
    """Returns the features as tensors, and the dropout masks or None."""
    if isinstance(features, EnsembleFeatures):
        return tuple(ops.convert_to_tensor(part) for part in features.parts), None
    if isinstance(features, MaskedFeatures):
        masks = tuple(ops.convert_to_tensor(mask) for mask in features.dropout_masks)
        return ops.convert_to_tensor(features.features), masks
    return ops.convert_to_tensor(features), None


def _log_probabilities(logits: Any) -> Any:
    return ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
