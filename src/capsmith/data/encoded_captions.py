"""Encoded captions of many images in flat arrays: tokens of all captions, and where each caption and image begins."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np


@dataclass(frozen=True)
class Example:
    """An image and its captions.

    Attributes:
        row: The row of the image in the source.
        captions: Token ids of each caption, without start and end.
    """

    row: int
    captions: tuple[tuple[int, ...], ...]

    @property
    def longest(self) -> int:
        """Length of the longest caption in tokens."""
        return max(len(caption) for caption in self.captions)


class EncodedCaptions(Sequence[Example]):
    """Images with encoded captions; an `Example` is made when it is used.

    N images · C captions.

    Args:
        examples: The images; they are read once. An image without captions is kept.

    Attributes:
        rows: Row of each image in the source, (N,).
        first: First caption of each image, (N + 1,).
        lengths: Tokens of each caption, (C,).
    """

    def __init__(self, examples: Iterable[Example] = ()) -> None:
        rows, first, starts, tokens = array("q"), array("q", [0]), array("q", [0]), array("i")
        for example in examples:
            rows.append(example.row)
            for caption in example.captions:
                tokens.extend(caption)
                starts.append(len(tokens))
            first.append(len(starts) - 1)
        self.rows = np.frombuffer(rows, np.int64)
        self.first = np.frombuffer(first, np.int64)
        self._starts = np.frombuffer(starts, np.int64)
        ids = np.frombuffer(tokens, np.int32)
        self._tokens = ids.astype(np.uint16) if not len(ids) or (ids.min() >= 0 and ids.max() < 2**16) else ids
        self.lengths = np.diff(self._starts).astype(np.int32)

    @classmethod
    def of(cls, examples: Iterable[Example]) -> "EncodedCaptions":
        """Returns examples in flat arrays; those that are already are not copied."""
        return examples if isinstance(examples, cls) else cls(examples)

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Example: ...

    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...

    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        captions = range(self.first[index], self.first[index + 1])
        return Example(int(self.rows[index]), tuple(tuple(self.caption(number)) for number in captions))

    def caption(self, number: int) -> list[int]:
        """Returns the token ids of a caption, counted over all images."""
        ids: list[int] = self._tokens[self._starts[number] : self._starts[number + 1]].tolist()
        return ids
