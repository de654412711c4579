"""What a search returns, and how near-duplicates become one hit."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np

from capsmith.core.errors import ConfigError

By = Literal["visual", "semantic", "both"]
"""What hits for an image are ranked by; ``both``: the mean of the two cosines."""
MAX_BITS = 6
"""Bits of 64 in which the looks of near-duplicates may differ."""
MIN_COSINE = 0.6
"""Least cosine of the visual vectors of near-duplicates; ``benchmarks/duplicates.py`` shows what it finds."""


@dataclass(frozen=True)
class Hit:
    """An image that a search found.

    Attributes:
        id: Its number in the index, which is never used again for another image.
        path: Its path relative to the folder of the images, printable and without bytes that are not UTF-8.
        semantic: Cosine in the joint space with the phrase, or with the image of the query; None if there is no such.
        visual: Cosine of the visual vectors with those of the query's image; 1 is the same picture.
        words: BM25 score of its caption.
        caption: Its caption; None if none was indexed.
        duplicates: Paths of the same picture, which are no hits of their own.
    """

    id: int
    path: str
    semantic: float | None = None
    visual: float | None = None
    words: float | None = None
    caption: str | None = None
    duplicates: tuple[str, ...] = ()

    def scores(self) -> dict[str, float]:
        """Returns the scores that it has, by their names."""
        named = {"semantic": self.semantic, "visual": self.visual, "words": self.words}
        return {name: value for name, value in named.items() if value is not None}

    def as_dict(self) -> dict[str, Any]:
        """Returns the hit as plain data; scores that it does not have are missing."""
        scores = {name: round(value, 4) for name, value in self.scores().items()}
        caption = {} if self.caption is None else {"caption": self.caption}
        return {"id": self.id, "path": self.path, **scores, **caption, "duplicates": list(self.duplicates)}


@dataclass(frozen=True)
class Candidate:
    """A hit before folding.

    Attributes:
        hit: The hit.
        look: Hash of its look.
        vector: Its visual vector (v,).
    """

    hit: Hit
    look: int
    vector: np.ndarray = field(repr=False)


def folded(candidates: Sequence[Candidate]) -> Iterator[Hit]:
    """Yields the hits, best first; a near-duplicate of a better one becomes one of its ``duplicates``."""
    leaders: list[Candidate] = []
    followers: list[list[str]] = []
    for one in candidates:
        place = next((n for n, leader in enumerate(leaders) if near_duplicates(leader, one)), None)
        if place is None:
            leaders.append(one)
            followers.append([])
        else:
            followers[place] += [one.hit.path, *one.hit.duplicates]
    for leader, more in zip(leaders, followers, strict=True):
        yield replace(leader.hit, duplicates=(*leader.hit.duplicates, *more))


def hits_of(candidates: Sequence[Candidate], fold: bool) -> list[Hit]:
    """Returns the hits, best first; with ``fold`` without near-duplicates of better ones."""
    return list(folded(candidates)) if fold else [one.hit for one in candidates]


def wanted(top: int, fold: bool) -> int:
    """Returns how many candidates to ask for, so that folding usually leaves enough hits."""
    return 2 * top + 8 if fold else top


def near_duplicates(first: Candidate, second: Candidate) -> bool:
    """Returns whether two images are the same picture in another size, format or compression."""
    if ((first.look ^ second.look) & (1 << 64) - 1).bit_count() > MAX_BITS:
        return False
    return float(first.vector.astype(np.float32) @ second.vector.astype(np.float32)) >= MIN_COSINE


def require_by(by: str) -> None:
    """Checks what hits are ranked by.

    Raises:
        ConfigError: It is none of ``By``.
    """
    if by not in get_args(By):
        raise ConfigError(f"by: {by!r:.40} is not one of {', '.join(get_args(By))}")
