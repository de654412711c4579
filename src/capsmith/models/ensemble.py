"""Several captioners that write one caption together.

P images · N rows of a search · V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import keras
import numpy as np
from keras import ops

from capsmith.core.errors import CheckpointError
from capsmith.core.scopes import Use, difference
from capsmith.data.sources import FeatureSource
from capsmith.decoding.search import Stepper
from capsmith.decoding.stepper import DecoderStepper, Views
from capsmith.models.captioner import Captioner


@dataclass(frozen=True)
class Member:
    """A captioner and where it finds its features: members may have different encoders.

    Attributes:
        captioner: The model.
        source: Its features, or pixels where its encoder was trained.
    """

    captioner: Captioner
    source: FeatureSource

    def features(self, ids: Sequence[str]) -> np.ndarray:
        """Returns what the decoder takes, (P, …)."""
        found = self.source.gather(self.source.rows(ids))
        return self.captioner.encode(found) if self.captioner.config.trains_encoder else found


class JointDecoder(keras.layers.Layer):
    """Decoders as one whose next word follows the mean of their probabilities; for a search, not for training.

    Args:
        decoders: Built, over one vocabulary.
    """

    attends = False

    def __init__(self, decoders: Sequence[keras.layers.Layer]) -> None:
        super().__init__(dtype=decoders[0].dtype_policy)
        self.decoders = list(decoders)
        self.kept = sum(one.kept for one in decoders)

    def start(self, features: Sequence[Any]) -> tuple[Any, ...]:
        """Returns the state before the first word for each decoder's features (P, …): what they keep, then the rest."""
        states = [one.start(part) for one, part in zip(self.decoders, features, strict=True)]
        self.sizes = [len(state) - one.kept for one, state in zip(self.decoders, states, strict=True)]
        pairs = [(state[: one.kept], state[one.kept :]) for one, state in zip(self.decoders, states, strict=True)]
        return tuple(tensor for parts in zip(*pairs, strict=True) for part in parts for tensor in part)

    def step(self, tokens: Any, state: tuple[Any, ...], shown: None = None) -> tuple[Any, tuple[Any, ...]]:
        """Reads a word a row (N,); returns the next word's log probabilities (N, V) and the state after it."""
        image, rows = iter(state[: self.kept]), iter(state[self.kept :])
        said, after = [], []
        for one, size in zip(self.decoders, self.sizes, strict=True):
            logits, own = one.step(tokens, (*islice(image, one.kept), *islice(rows, size)))
            said.append(ops.log_softmax(ops.cast(logits, "float32"), axis=-1))
            after += own[one.kept :]
        mean = ops.logsumexp(ops.stack(said), axis=0) - np.float32(np.log(len(said)))
        return mean, (*state[: self.kept], *after)


class JointStepper(DecoderStepper):
    """Searches several captioners' decoders as one.

    Args:
        steppers: Of the captioners.
    """

    def __init__(self, steppers: Sequence[DecoderStepper]) -> None:
        super().__init__(JointDecoder([one.decoder for one in steppers]))
        self.steppers = tuple(steppers)

    def apart(self, features: Views) -> list[tuple[Stepper, Any]]:
        """Returns each captioner's own stepper, and what it sees of the images."""
        return list(zip(self.steppers, features.parts, strict=True))


def average(captioners: Sequence[Captioner], names: Sequence[object]) -> Captioner:
    """Gives the first captioner the mean of all their weights, and returns it.

    That is a model of its own, as quick as one of them, where they began with the same weights: several stages or
    continuations of one training (Wortsman et al. 2022). Of trainings with other seeds the mean says nothing.

    Raises:
        CheckpointError: They are not models of one kind.
    """
    first, *others = captioners
    for captioner, name in zip(others, names[1:], strict=True):
        if changed := difference(first.config, captioner.config, Use.AVERAGE):
            raise CheckpointError(f"{name} cannot be averaged with {names[0]}: it is of another model ({changed})")
    for same in zip(*(captioner.model.weights for captioner in captioners), strict=True):
        if "float" in str(same[0].dtype):
            same[0].assign(sum(keras.ops.convert_to_numpy(weight) for weight in same) / len(same))
    return first


def require_same_words(captioners: Sequence[Captioner], names: Sequence[object]) -> None:
    """Checks that captioners can write together.

    Raises:
        CheckpointError: One has another vocabulary than the first.
    """
    first = captioners[0].vocabulary.fingerprint()
    for captioner, name in zip(captioners, names, strict=True):
        if captioner.vocabulary.fingerprint() != first:
            raise CheckpointError(f"{name} has other words than {names[0]}: train both on the same captions")
