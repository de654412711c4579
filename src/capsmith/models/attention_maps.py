"""Where a decoder with attention looked while it said a sentence, and how probable each word was.

P images · T words · L regions.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from capsmith.core.errors import ConfigError
from capsmith.data.text.vocabulary import START
from capsmith.decoding.stepper import DecoderStepper


class AttentionMaps(NamedTuple):
    """What a decoder looked at for the T words of one sentence.

    Attributes:
        weights: (T, rows, columns); each word's weights sum to 1, the mean of its pieces.
        probabilities: The model's probability for each word after those before it, (T,); of a word in several pieces
            the product.
    """

    weights: np.ndarray
    probabilities: np.ndarray


def attention_maps(
    stepper: DecoderStepper,
    features: np.ndarray,
    sentences: Sequence[Sequence[Sequence[int]]],
    grid: tuple[int, ...],
) -> list[AttentionMaps]:
    """Reads sentences again, and returns how much each region counted for each word.

    Args:
        stepper: A decoder whose ``attends`` is true.
        features: Of the images, (P, L, D).
        sentences: What was said of each: the ids of each word, most often one.
        grid: Rows and columns of the regions, whose product is L.

    Returns:
        For each image the maps of its words.
    """
    flat = [[index for word in words for index in word] for words in sentences]
    said = np.full((len(flat), 1 + max(map(len, flat), default=0)), START, np.int32)
    for row, ids in enumerate(flat):
        said[row, 1 : len(ids) + 1] = ids
    rows, state = np.arange(len(sentences), dtype=np.int32), stepper.start(features)
    maps, chances = [np.zeros((len(sentences), 0, *grid), np.float32)], [np.zeros((len(sentences), 0), np.float32)]
    for position in range(said.shape[1] - 1):
        log_probabilities, state = stepper.step(said[:, position], rows, state)
        maps.append(keras.ops.convert_to_numpy(state[0][-1]).reshape(-1, 1, *grid))
        chances.append(log_probabilities[rows, said[:, position + 1]][:, None])
    path, chance = np.concatenate(maps, axis=1), np.concatenate(chances, axis=1)
    return [_by_word(path[row], chance[row], words) for row, words in enumerate(sentences)]


def require_attention(decoder: Any, name: str) -> None:
    """Sees that a decoder attends to regions.

    Raises:
        ConfigError: It does not.
    """
    if not getattr(decoder, "attends", False):
        raise ConfigError(
            f"a decoder of type {name} has no attention to show: train one with attention, such as "
            "flickr8k_attention.yaml"
        )


def _by_word(path: np.ndarray, chance: np.ndarray, words: Sequence[Sequence[int]]) -> AttentionMaps:
    """Returns the mean of the weights (pieces, …) and the product of the probabilities over each word's pieces."""
    ends = np.cumsum([len(word) for word in words], dtype=int)
    spans = [slice(end - len(word), end) for word, end in zip(words, ends, strict=True)]
    weights = np.stack([path[span].mean(axis=0) for span in spans]) if spans else path[:0]
    return AttentionMaps(weights, np.exp([chance[span].sum() for span in spans], dtype=np.float64))
