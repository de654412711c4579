"""What a caption must begin with, contain and avoid, as token ids, and the arrays that searches read.

``models.wishes`` makes them from the words of a config. V vocabulary · P phrases · L longest phrase · M prefix.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from capsmith.data.text.vocabulary import END, PAD
from capsmith.decoding.constraints import ANY, Limits
from capsmith.decoding.grid import Grid, Phrase, make_grid
from capsmith.decoding.hypotheses import Hypothesis

WIDEST = 4
"""A search for distinct captions may be repeated with up to this many times its width."""


@dataclass(frozen=True)
class Wishes:
    """What the captions of a search must satisfy.

    Attributes:
        size: V.
        prefix: The first tokens of every caption.
        exclude: Sequences that no caption contains.
        include: For each constraint its alternatives: every caption contains one of them.
        continuing: Pieces that continue a word. An included word is not followed by one.
        n: Maximum number of distinct captions; None keeps all hypotheses.
        ignored: Tokens that do not make captions distinct: articles and punctuation.
        notes: Sentences about words without effect.
    """

    size: int
    prefix: Phrase = ()
    exclude: tuple[Phrase, ...] = ()
    include: tuple[tuple[Phrase, ...], ...] = ()
    continuing: frozenset[int] = frozenset()
    n: int | None = None
    ignored: frozenset[int] = frozenset()
    notes: tuple[str, ...] = field(default=(), compare=False)

    @property
    def banks(self) -> int:
        """Groups of beams by constraint tokens found: 1 without ``include``."""
        return 1 + sum(max(map(len, alternatives)) for alternatives in self.include)

    @cached_property
    def limits(self) -> Limits | None:
        """The arrays of ``prefix`` and ``exclude``; None if neither is set."""
        if not self.prefix and not self.exclude:
            return None
        forbidden = np.zeros(self.size, np.float32)
        forbidden[[phrase[0] for phrase in self.exclude if len(phrase) == 1]] = -np.inf
        several = [phrase for phrase in self.exclude if len(phrase) > 1]
        phrases = None
        if several:
            phrases = np.full((bucket(len(several)), bucket(max(map(len, several)))), ANY, np.int32)
            phrases[:, -1] = PAD  # a row of padding excludes padding
            for row, phrase in zip(phrases, several, strict=False):
                row[-len(phrase) :] = phrase
        prefix = None
        if self.prefix:
            prefix = np.full(bucket(len(self.prefix)), ANY, np.int32)
            prefix[: len(self.prefix)] = self.prefix
        return Limits(forbidden, phrases, prefix)

    @cached_property
    def grid(self) -> Grid | None:
        """The arrays of ``include``; None if it is not set."""
        return make_grid(self.include, self.continuing, self.size) if self.include else None

    @cached_property
    def structure(self) -> tuple[int, ...]:
        """Sizes of the arrays: programs with other sizes are compiled separately."""
        arrays = (*(self.limits or ()), *(self.grid or ()))
        return tuple(size for array in arrays for size in ((0,) if array is None else array.shape))

    def satisfied(self, tokens: Sequence[int]) -> bool:
        """Returns whether a caption satisfies ``prefix``, ``exclude`` and ``include``."""
        caption = tuple(tokens)
        if caption[: len(self.prefix)] != self.prefix or any(_places(caption, phrase) for phrase in self.exclude):
            return False
        following = (*caption, END)
        return all(
            any(following[end] not in self.continuing for phrase in one for end in _places(caption, phrase))
            for one in self.include
        )

    def distinct(self, hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
        """Returns the first ``n`` hypotheses that differ by more than ignored tokens."""
        kept: dict[Phrase, Hypothesis] = {}
        for one in hypotheses:
            kept.setdefault(tuple(token for token in one.tokens if token not in self.ignored), one)
        return list(kept.values())[: self.n]


def has_wishes(decoding: Any) -> bool:
    """Returns whether the settings of a search need the vocabulary: ``models.wishes.resolve`` makes them ``Wishes``."""
    return any(getattr(decoding, name, None) for name in ("prefix", "include", "exclude", "exclude_file", "n"))


def bucket(count: int) -> int:
    """Returns the next power of two, at least 4: arrays are padded to it, so that few sizes occur."""
    return max(4, 1 << (count - 1).bit_length())


def _places(caption: Phrase, phrase: Phrase) -> list[int]:
    """Returns the positions after each occurrence of a phrase."""
    return [end for end in range(len(phrase), len(caption) + 1) if caption[end - len(phrase) : end] == phrase]
