"""Texts as the token ids that a joint embedding reads, in training and afterwards."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from capsmith.data.text.vocabulary import PAD, UNK, Vocabulary
from capsmith.retrieval.heads import TextHead

if TYPE_CHECKING:
    from capsmith.data.text.config import TextConfig

_AT_ONCE = 512  # texts


def text_ids(tokens: Sequence[str], vocabulary: Vocabulary, config: "TextConfig") -> tuple[int, ...]:
    """Returns the ids of the tokens of a text, cut at ``text.max_length``; those of a text without any are one UNK."""
    return tuple(vocabulary.encode(tokens)[: config.max_length]) or (UNK,)


def padded(captions: Sequence[Sequence[int]], length: int | None = None) -> np.ndarray:
    """Returns token ids (B, T) int32 with 0 at the end.

    Args:
        captions: The token ids of each text, without start and end.
        length: T; by default the length of the longest.
    """
    tokens = np.full((len(captions), length or max(map(len, captions), default=1)), PAD, np.int32)
    for row, caption in enumerate(captions):
        tokens[row, : len(caption)] = caption
    return tokens


def embed_all(head: TextHead, texts: Sequence[Sequence[int]]) -> np.ndarray:
    """Returns the unit vectors (N, d) of texts, which are computed in parts of similar length.

    Args:
        head: The network.
        texts: The token ids of each text.
    """
    vectors = np.zeros((len(texts), len(head.arrays["bias"])), np.float32)
    order = np.argsort([len(text) for text in texts], kind="stable")
    for start in range(0, len(order), _AT_ONCE):
        rows = order[start : start + _AT_ONCE]
        vectors[rows] = head(padded([texts[row] for row in rows]))
    return vectors
