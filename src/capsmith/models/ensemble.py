"""Several models that generate one caption jointly.

P images · N rows of a search · V vocabulary.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Any

import keras
import numpy as np
from keras import ops

from capsmith.core.errors import CheckpointError
from capsmith.core.scopes import Use, difference
from capsmith.decoding.engine import Stepper
from capsmith.decoding.features import EnsembleFeatures
from capsmith.decoding.stepper import DecoderStepper
from capsmith.models.keras_member import KerasMember


class EnsembleDecoder(keras.layers.Layer):
    """Decoders whose next word follows the mean of their probabilities; for searches, not for training.

    Args:
        decoders: Built decoders over one vocabulary.
        feature_shapes: Shape of the features of one image, (D,) or (L, D), for each decoder.
    """

    attends = False

    def __init__(self, decoders: Sequence[keras.layers.Layer], feature_shapes: Sequence[tuple[int, ...]]) -> None:
        super().__init__(dtype=decoders[0].dtype_policy)
        self.decoders = list(decoders)
        self.n_static = sum(decoder.n_static for decoder in decoders)
        self.n_recurrent = [
            len(decoder.start(np.zeros((1, *shape), "float32"))) - decoder.n_static
            for decoder, shape in zip(decoders, feature_shapes, strict=True)
        ]

    def start(self, features: Sequence[Any]) -> tuple[Any, ...]:
        """Returns the state before the first word: the static tensors of all decoders, then those of the rows.

        Args:
            features: One tensor (P, …) for each decoder.
        """
        states = [decoder.start(part) for decoder, part in zip(self.decoders, features, strict=True)]
        pairs = [
            (state[: decoder.n_static], state[decoder.n_static :])
            for decoder, state in zip(self.decoders, states, strict=True)
        ]
        return tuple(tensor for parts in zip(*pairs, strict=True) for part in parts for tensor in part)

    def step(self, tokens: Any, state: tuple[Any, ...], dropout_masks: None = None) -> tuple[Any, tuple[Any, ...]]:
        """Reads one word per row (N,); returns the log probabilities of the next word (N, V) and the state after it."""
        static, rows = iter(state[: self.n_static]), iter(state[self.n_static :])
        log_probabilities, after = [], []
        for decoder, size in zip(self.decoders, self.n_recurrent, strict=True):
            logits, own = decoder.step(tokens, (*islice(static, decoder.n_static), *islice(rows, size)))
            log_probabilities.append(ops.log_softmax(ops.cast(logits, "float32"), axis=-1))
            after += own[decoder.n_static :]
        total = ops.logsumexp(ops.stack(log_probabilities), axis=0)
        return total - np.float32(np.log(len(self.decoders))), (*state[: self.n_static], *after)


class EnsembleStepper(DecoderStepper):
    """Searches with several decoders as one.

    Args:
        steppers: One for each member.
        feature_shapes: Shape of the features of one image for each member.
    """

    def __init__(self, steppers: Sequence[DecoderStepper], feature_shapes: Sequence[tuple[int, ...]]) -> None:
        super().__init__(EnsembleDecoder([stepper.decoder for stepper in steppers], feature_shapes))
        self.steppers = tuple(steppers)

    def members(self, features: EnsembleFeatures) -> list[tuple[Stepper, Any]]:
        """Returns the stepper of each member, and its features of the images."""
        return list(zip(self.steppers, features.parts, strict=True))


def average_weights(members: Sequence[KerasMember]) -> KerasMember:
    """Sets the first member's weights to the mean of all members' weights, and returns that member.

    The mean is a good model if all members started from the same weights, as stages or continuations of one training
    (Wortsman et al. 2022); for trainings with different seeds it is useless. It is as fast as one member.

    Raises:
        CheckpointError: The members are different models.
    """
    first, *others = members
    for member in others:
        if changed := difference(first.config, member.config, Use.AVERAGE):
            raise CheckpointError(f"{member.run} cannot be averaged with {first.run}: the models differ ({changed})")
    for same in zip(*(member.model.weights for member in members), strict=True):
        if "float" in str(same[0].dtype):
            same[0].assign(sum(keras.ops.convert_to_numpy(weight) for weight in same) / len(same))
    return first
