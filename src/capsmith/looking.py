"""Where a decoder with attention looked while it said a sentence.

P pictures · T words · L regions.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from capsmith.errors import ConfigError
from capsmith.stepping import DecoderStepper
from capsmith.text.vocabulary import START


def attention_maps(
    stepper: DecoderStepper,
    features: np.ndarray,
    sentences: Sequence[Sequence[Sequence[int]]],
    grid: tuple[int, ...],
) -> list[np.ndarray]:
    """Reads sentences again, and returns how much each region counted for each word.

    Args:
        stepper: A decoder whose ``attends`` is true.
        features: Of the pictures, (P, L, D).
        sentences: What was said of each: the ids of each word, most often one.
        grid: Rows and columns of the regions, whose product is L.

    Returns:
        For each picture (T, rows, columns); each word's weights sum to 1, the mean of its pieces.
    """
    flat = [[index for word in words for index in word] for words in sentences]
    said = np.full((len(flat), 1 + max(map(len, flat), default=0)), START, np.int32)
    for row, ids in enumerate(flat):
        said[row, 1 : len(ids) + 1] = ids
    rows, state, maps = np.arange(len(sentences), dtype=np.int32), stepper.start(features), []
    for position in range(said.shape[1] - 1):
        _, state = stepper.step(said[:, position], rows, state)
        maps.append(keras.ops.convert_to_numpy(state[0][-1]).reshape(-1, *grid))
    path = np.stack(maps, axis=1) if maps else np.zeros((len(sentences), 0, *grid), np.float32)
    return [_by_word(path[row], words) for row, words in enumerate(sentences)]


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


def _by_word(path: np.ndarray, words: Sequence[Sequence[int]]) -> np.ndarray:
    """Returns the mean over each word's pieces, (words, …), of what stands at every piece, (pieces, …)."""
    ends = np.cumsum([len(word) for word in words], dtype=int)
    means = [path[end - len(word) : end].mean(axis=0) for word, end in zip(words, ends, strict=True)]
    return np.stack(means) if means else path[:0]
