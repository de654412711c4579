"""Ranks the captions of a library for photographs.

N images · M captions · P images of a bank · d dimensions.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from capsmith.core.errors import ConfigError, DataError
from capsmith.core.spelling import nearest
from capsmith.deploy.recommend.diversity import choose_diverse
from capsmith.deploy.recommend.library import Library
from capsmith.deploy.recommend.photos import image_vector
from capsmith.deploy.recommend.vectors import text_vectors
from capsmith.retrieval.embedder import Embedder
from capsmith.retrieval.popularity import CORRECTIONS, Correction, corrected
from capsmith.vision.images import ImageSource

CORRECTION: Correction = "inverted_softmax"
"""The correction that is used unless another is named, where there is a bank; chosen on dev (docs/recommend.md)."""
MAX_TOP = 1000
_POOL, _POOL_FACTOR = 50, 10  # candidates of a diverse choice: at least so many, and so many for each caption
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Recommendation:
    """One caption for one photograph.

    Attributes:
        rank: Its place, from 1.
        caption: The caption.
        similarity: The cosine of the photograph and the caption's description.
        score: What the order follows: the similarity after the correction. Comparable within one photograph.
        theme: Its theme; empty if it has none.
        description: The text that was matched; empty if it was the caption itself.
    """

    rank: int
    caption: str
    similarity: float
    score: float
    theme: str = ""
    description: str = ""


class Recommender:
    """A library that is embedded, ready to be ranked.

    Args:
        embedder: The joint embedding.
        library: The captions.
        cache: A folder that keeps the vectors of captions; None keeps nothing.
        correction: ``none``, ``csls`` or ``inverted_softmax``; None is ``CORRECTION``, or ``none`` without a bank.
        bank: Vectors of images (P, d) against which the popularity of captions is measured; by default the embedder's,
            which are those of its training.

    Attributes:
        library: The captions.
        correction: The correction in use.
        embedded: How many texts were embedded now, and not read from the cache.
        unknown: Rows of captions without any word that the model knows. They are never recommended.
        notes: Lines for people: what the library left out, and unknown captions.

    Raises:
        ConfigError: The correction is unknown, or there is no bank for it.
        DataError: The model knows no word of the library.
    """

    def __init__(
        self,
        embedder: Embedder,
        library: Library,
        cache: Path | None = None,
        correction: str | None = None,
        bank: np.ndarray | None = None,
    ) -> None:
        bank = embedder.bank if bank is None else bank
        self.embedder, self.library = embedder, library
        self.correction = _correction(correction, embedder, bank)
        self.unknown = frozenset(row for row, text in enumerate(library.texts) if _is_unknown(text, embedder))
        if len(self.unknown) == len(library):
            raise DataError(
                f"{embedder.name} knows no word of {library.name}: add a column description, in plain words of the "
                "captions that the model was trained on"
            )
        text = text_vectors(embedder, library.texts, bank, cache)
        self._vectors, self._popularity, self.embedded = text.vectors, text.popularity, text.embedded
        self.notes = [*library.notes, *self._unknown_note()]

    def recommend(
        self, image: ImageSource, top: int = 5, diverse: bool = False, themes: Sequence[str] = ()
    ) -> list[Recommendation]:
        """Returns the best captions for one photograph.

        Args:
            image: A path, the bytes of a file, a Pillow image, or an array of pixels.
            top: How many, 1 to ``MAX_TOP``; fewer are returned if the library has no more.
            diverse: Collapse near-duplicates, and prefer captions that differ.
            themes: Recommend only captions of these themes; empty for all.

        Raises:
            ImageError: The image cannot be read.
            ConfigError: ``top`` is out of range, or a theme does not exist.
        """
        self._check(top, themes)
        return self.recommend_vectors(image_vector(self.embedder, image)[None], top, diverse, themes)[0]

    def recommend_features(
        self, features: np.ndarray, top: int = 5, diverse: bool = False, themes: Sequence[str] = ()
    ) -> list[list[Recommendation]]:
        """Returns the best captions for each of N images whose features are (N, D) or (N, L, D); as ``recommend``."""
        return self.recommend_vectors(self.embedder.embed_features(features), top, diverse, themes)

    def recommend_vectors(
        self, vectors: np.ndarray, top: int = 5, diverse: bool = False, themes: Sequence[str] = ()
    ) -> list[list[Recommendation]]:
        """Returns the best captions for each of N images, given as unit vectors (N, d); as ``recommend``."""
        rows = self._check(top, themes)
        cosines = np.asarray(vectors, np.float32) @ self._vectors[rows].T
        popularity = None if self._popularity is None else self._popularity[rows]
        scores = corrected(cosines, self.correction, popularity)
        pairs = zip(cosines, scores, strict=True)
        return [self._ranked(rows, cosine, score, top, diverse) for cosine, score in pairs]

    def _ranked(
        self, rows: np.ndarray, cosines: np.ndarray, scores: np.ndarray, top: int, diverse: bool
    ) -> list[Recommendation]:
        """Returns the recommendations for one image, given its cosines and scores for these rows."""
        wanted = max(_POOL, _POOL_FACTOR * top) if diverse else top
        best: dict[str, int] = {}  # a caption that has several descriptions is recommended once
        for place in np.argsort(-scores, kind="stable"):
            best.setdefault(self.library.captions[rows[place]].casefold(), int(place))
            if len(best) == wanted:
                break
        places = np.array([*best.values()])
        if diverse:
            captions = [self.library.captions[rows[place]] for place in places]
            places = places[choose_diverse(scores[places], self._vectors[rows[places]], captions, top)]
        return [
            Recommendation(
                rank,
                self.library.captions[row := rows[place]],
                float(cosines[place]),
                float(scores[place]),
                self.library.themes[row],
                self.library.descriptions[row],
            )
            for rank, place in enumerate(places, start=1)
        ]

    def _check(self, top: int, themes: Sequence[str]) -> np.ndarray:
        """Returns the rows that may be recommended."""
        require_top(top)
        rows = self.library.rows_of_themes(themes) if themes else range(len(self.library))
        known = [row for row in rows if row not in self.unknown]
        if not known:
            raise ConfigError(f"{self.embedder.name} knows no word of the captions of {', '.join(themes)}")
        return np.array(known)

    def _unknown_note(self) -> list[str]:
        if not self.unknown:
            return []
        first = self.library.captions[min(self.unknown)]
        return [
            f"{self.library.name}: {self.embedder.name} knows no word of {len(self.unknown):,} of "
            f"{len(self.library):,} captions, such as '{first:.60}'; they are left out: describe them in a column "
            "description"
        ]


def require_top(top: int) -> None:
    """Raises ConfigError if a number of captions is out of range."""
    if not 1 <= top <= MAX_TOP:
        raise ConfigError(f"top {top}: a number from 1 to {MAX_TOP:,}")


def _correction(name: str | None, embedder: Embedder, bank: np.ndarray | None) -> Correction:
    if name is None:
        return "none" if bank is None else CORRECTION
    for correction in CORRECTIONS:
        if name == correction:
            if name != "none" and bank is None:
                raise ConfigError(
                    f"correction {name} needs images to measure popularity against, and {embedder.name} has none: use "
                    "none, or name an index of images (--bank)"
                )
            return correction
    raise ConfigError(f"correction {name}: one of {', '.join(CORRECTIONS)}{nearest(name, CORRECTIONS)}")


def _is_unknown(text: str, embedder: Embedder) -> bool:
    """Returns whether the model knows no word of a text."""
    unknown = embedder.unknown_words(text)
    return bool(unknown) and len(unknown) >= len(_WORD.findall(text))
