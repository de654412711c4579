"""Attention maps of captions: the weight of each image region for each word, and the probability of each word.

P images · T tokens · L regions.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from capsmith.core.errors import ConfigError
from capsmith.data.text.vocabulary import START
from capsmith.models.keras_member import KerasMember
from capsmith.vision.joined import overlaps


class AttentionMaps(NamedTuple):
    """Attention over the words of one caption.

    Attributes:
        weights: (words, rows, columns). The weights of a word sum to 1; a word of several tokens has their mean.
        probabilities: Probability of each word given the words before it, (words,); a word of several tokens has
            their product.
    """

    weights: np.ndarray
    probabilities: np.ndarray


def attention_maps(
    members: Sequence[KerasMember], features: Sequence[np.ndarray], captions: Sequence[Sequence[Sequence[int]]]
) -> list[AttentionMaps]:
    """Computes the attention maps of captions with teacher forcing.

    For several members, returns the mean of their maps, on the grid of the first member that attends, and the mean of
    their probabilities. Members without attention contribute probabilities only.

    Args:
        members: The models.
        features: For each member the features of the images, (P, …).
        captions: For each image the token ids of each word.

    Raises:
        ConfigError: No member attends to regions.
    """
    require_attention(members)
    grid = next(_grid(member) for member in members if _attends(member))
    maps, log_probabilities = [], []
    for member, own in zip(members, features, strict=True):
        weights, log_probability = _read(member, own, captions)
        log_probabilities.append(log_probability)
        if weights is not None:
            maps.append(_resized(weights, grid))
    mean = np.stack(maps).mean(axis=0)
    log_probability = np.logaddexp.reduce(log_probabilities, axis=0) - np.float32(np.log(len(members)))
    return [_by_word(mean[row], log_probability[row], words) for row, words in enumerate(captions)]


def require_attention(members: Sequence[KerasMember]) -> None:
    """Checks that at least one model attends to regions.

    Raises:
        ConfigError: No member has attention.
    """
    if not any(_attends(member) for member in members):
        raise ConfigError(
            f"a decoder of type {members[0].config.decoder.type} has no attention to show: train one with attention, "
            "such as flickr8k_attention.yaml"
        )


def _attends(member: KerasMember) -> bool:
    return bool(getattr(member.model.decoder, "attends", False))


def _grid(member: KerasMember) -> tuple[int, ...]:
    """Returns rows and columns of the regions; joined grids have the size of the first encoder's."""
    return tuple(int(size) for size in member.encoders[0].core.output.shape[1:3])


def _read(
    member: KerasMember, features: np.ndarray, captions: Sequence[Sequence[Sequence[int]]]
) -> tuple[np.ndarray | None, np.ndarray]:
    """Returns the attention (P, T, rows, columns) or None, and the log probability of each token (P, T)."""
    flat = [[token for word in words for token in word] for words in captions]
    tokens = np.full((len(flat), 1 + max(map(len, flat), default=0)), START, np.int32)
    for row, ids in enumerate(flat):
        tokens[row, 1 : len(ids) + 1] = ids
    rows, state = np.arange(len(captions), dtype=np.int32), member.stepper.start(features)
    attends, grid = _attends(member), _grid(member) if _attends(member) else (0, 0)
    maps, log_probabilities = [np.zeros((len(rows), 0, *grid), np.float32)], [np.zeros((len(rows), 0), np.float32)]
    for position in range(tokens.shape[1] - 1):
        next_word, state = member.stepper.step(tokens[:, position], rows, state)
        log_probabilities.append(next_word[rows, tokens[:, position + 1]][:, None])
        if attends:
            maps.append(keras.ops.convert_to_numpy(state[0][-1]).reshape(-1, 1, *grid))
    return np.concatenate(maps, axis=1) if attends else None, np.concatenate(log_probabilities, axis=1)


def _resized(maps: np.ndarray, grid: tuple[int, ...]) -> np.ndarray:
    """Resizes maps (…, rows, columns) to another grid by area; each map keeps its sum."""
    for axis, size in ((-2, grid[0]), (-1, grid[1])):
        if maps.shape[axis] != size:
            share = overlaps(maps.shape[axis], size).astype(np.float32) * maps.shape[axis]
            maps = np.moveaxis(np.tensordot(maps, share, axes=(axis, 1)), -1, axis)
    return maps


def _by_word(weights: np.ndarray, log_probability: np.ndarray, words: Sequence[Sequence[int]]) -> AttentionMaps:
    """Returns the mean weights and the product of the probabilities over the tokens of each word."""
    ends = np.cumsum([len(word) for word in words], dtype=int)
    spans = [slice(end - len(word), end) for word, end in zip(words, ends, strict=True)]
    maps: Any = np.stack([weights[span].mean(axis=0) for span in spans]) if spans else weights[:0]
    return AttentionMaps(maps, np.exp([log_probability[span].sum() for span in spans], dtype=np.float64))
