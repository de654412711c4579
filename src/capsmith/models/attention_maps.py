"""The attention of each word of a caption over the image regions, and the probability of each word. No Keras.

P images · R captions of an image · N rows, P × R · T tokens · L regions.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from capsmith.core.errors import CheckpointError, ConfigError
from capsmith.data.text.vocabulary import START
from capsmith.decoding.recording import Path
from capsmith.models.caption import Caption
from capsmith.models.member import Member
from capsmith.vision.joined import overlaps

Words = Sequence[Sequence[int]]
"""A caption as the token ids of each word."""

_IMAGES_AT_ONCE = 64  # their state takes some dozen megabytes


class WordDetails(NamedTuple):
    """What a model computes for the words of one caption.

    Attributes:
        probabilities: Probability of each word given the words before it, (words,); a word of several tokens has
            their product.
        attention: (words, rows, columns), if requested. The weights of a word sum to 1; a word of several tokens has
            their mean.
    """

    probabilities: np.ndarray
    attention: np.ndarray | None = None

    def added_to(self, caption: Caption) -> Caption:
        """Returns the caption with them."""
        return replace(caption, probabilities=tuple(self.probabilities.tolist()), attention=self.attention)


def word_details(
    members: Sequence[Member],
    features: Sequence[np.ndarray],
    captions: Sequence[Sequence[Words]],
    attention: bool = False,
) -> list[list[WordDetails]]:
    """Computes the words of captions with teacher forcing.

    For several members, the probabilities are the mean of theirs, and the maps the mean of their maps on the grid of
    the first member that attends. Members without attention contribute probabilities only.

    Args:
        members: The models, over one vocabulary.
        features: For each member the features of the images, (P, …).
        captions: For each image its captions. The decoder starts once for an image, however many captions it has.
        attention: Also return attention maps.

    Raises:
        ConfigError: Maps are requested, and no member attends to regions.
        CheckpointError: The state of a decoder does not hold the weights of its regions.
    """
    if attention:
        require_attention(members)
    details: list[list[WordDetails]] = []
    for first in range(0, len(captions), _IMAGES_AT_ONCE):
        part = slice(first, first + _IMAGES_AT_ONCE)
        details += _details(members, [own[part] for own in features], captions[part], attention)
    return details


def require_attention(members: Sequence[Member]) -> None:
    """Checks that at least one model attends to regions.

    Raises:
        ConfigError: No member has attention.
    """
    if not any(member.attends for member in members):
        decoder = getattr(members[0].config, "decoder", None)  # the runtime reads no settings of the decoder
        model = f"a decoder of type {decoder.type}" if decoder is not None else f"the export {members[0].run}"
        raise ConfigError(
            f"{model} has no attention to show: use a model whose decoder attends to regions, such as one trained by "
            "flickr8k_attention.yaml"
        )


def recorded_details(members: Sequence[Member], words: Words, path: Path, attention: bool = False) -> WordDetails:
    """Returns what a search has computed for the words of one of its captions.

    Args:
        members: The models.
        words: The caption.
        path: Its tokens' probabilities, and the weights of each member that attends.
        attention: Also return attention maps.
    """
    if not attention:
        return _by_word(words, path.log_probabilities, None)
    attending = [member for member in members if member.attends]
    return _by_word(words, path.log_probabilities, _mean(path.weights, attending))


def weights_of(members: Sequence[Member], state: Any) -> list[np.ndarray]:
    """Returns the weights of the regions (N, L) of each member that attends.

    Args:
        members: The models.
        state: That of the only member's stepper, or of a ``JointStepper``.
    """
    states = [state] if len(members) == 1 else state
    return [
        _checked(member, member.stepper.attention(own))
        for member, own in zip(members, states, strict=True)
        if member.attends
    ]


def _checked(member: Member, weights: np.ndarray) -> np.ndarray:
    regions = member.grid[0] * member.grid[1]
    if weights.shape[1:] != (regions,):
        raise CheckpointError(
            f"{member.run}: the state of its decoder ends with {weights.shape}, not with weights of {regions} regions"
        )
    return weights


def _mean(maps: Sequence[np.ndarray], members: Sequence[Member]) -> np.ndarray:
    """Returns the mean of maps (…, L), one for each member, as (…, rows, columns) on the grid of the first member."""
    grids = [own.reshape(*own.shape[:-1], *member.grid) for own, member in zip(maps, members, strict=True)]
    mean: np.ndarray = np.mean([_resized(own, members[0].grid) for own in grids], axis=0)
    return mean


def _details(
    members: Sequence[Member], features: Sequence[np.ndarray], captions: Sequence[Sequence[Words]], attention: bool
) -> list[list[WordDetails]]:
    tokens_NT, several = _rows(captions)  # noqa: N806
    results = [_read(m, own, tokens_NT, attention and m.attends) for m, own in zip(members, features, strict=True)]
    log_probability = np.logaddexp.reduce([own for own, _ in results], axis=0) - np.float32(np.log(len(members)))
    maps = None
    if attention:
        maps = _mean([own for _, own in results if own is not None], [m for m in members if m.attends])
    return [
        [
            _by_word(words, log_probability[row], None if maps is None else maps[row])
            for row, words in enumerate(own, image * several)
        ]
        for image, own in enumerate(captions)
    ]


def _rows(captions: Sequence[Sequence[Words]]) -> tuple[np.ndarray, int]:
    """Returns the start token and the tokens of each caption (N, 1 + T), filled up; and R, the most of one image."""
    several = max(1, *map(len, captions)) if captions else 1
    flat = [
        [[token for word in words for token in word] for words in (*own, *[()] * (several - len(own)))]
        for own in captions
    ]
    rows = [row for own in flat for row in own]
    tokens = np.full((len(rows), 1 + max(map(len, rows), default=0)), START, np.int32)
    for number, row in enumerate(rows):
        tokens[number, 1 : 1 + len(row)] = row
    return tokens, several


def _read(
    member: Member,
    features: np.ndarray,
    tokens_NT: np.ndarray,  # noqa: N803
    attention: bool,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns the log probability of each token (N, T), and the weights (N, T, L) or None."""
    stepper, count = member.stepper, len(tokens_NT)
    rows = np.arange(count, dtype=np.int32)
    parents = np.repeat(np.arange(len(features), dtype=np.int32), count // max(1, len(features)))
    state = stepper.start(features)
    log_probability = np.zeros((count, tokens_NT.shape[1] - 1), np.float32)
    maps = np.zeros((*log_probability.shape, member.grid[0] * member.grid[1]), np.float32) if attention else None
    for position in range(log_probability.shape[1]):
        next_token, state = stepper.step(tokens_NT[:, position], parents, state)
        parents = rows
        log_probability[:, position] = next_token[rows, tokens_NT[:, position + 1]]
        if maps is not None:
            maps[:, position] = _checked(member, member.stepper.attention(state))
    return log_probability, maps


def _resized(maps: np.ndarray, grid: tuple[int, ...]) -> np.ndarray:
    """Resizes maps (…, rows, columns) to another grid by area; each map keeps its sum."""
    for axis, size in ((-2, grid[0]), (-1, grid[1])):
        if maps.shape[axis] != size:
            share = overlaps(maps.shape[axis], size).astype(np.float32) * maps.shape[axis]
            maps = np.moveaxis(np.tensordot(maps, share, axes=(axis, 1)), -1, axis)
    return maps


def _by_word(words: Words, log_probability: np.ndarray, maps: np.ndarray | None) -> WordDetails:
    """Returns the product of the probabilities and the mean weights over the tokens of each word."""
    ends = np.cumsum([len(word) for word in words], dtype=int)
    spans = [slice(end - len(word), end) for word, end in zip(words, ends, strict=True)]
    probabilities = np.exp([log_probability[span].sum() for span in spans], dtype=np.float64)
    if maps is None:
        return WordDetails(probabilities)
    attention: Any = np.stack([maps[span].mean(axis=0) for span in spans]) if spans else maps[:0]
    return WordDetails(probabilities, attention)
