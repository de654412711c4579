"""The libraries of captions of a service, and the captions that requests bring."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from capsmith.core.errors import CapsmithError, escaped
from capsmith.deploy.recommend.library import Library
from capsmith.deploy.recommend.recommender import Recommendation, Recommender
from capsmith.retrieval.embedder import Embedder

_RANKERS = 8  # libraries of requests, or corrections, whose vectors are kept


class UnknownLibrary(CapsmithError):
    """A request names a library that is not served."""


@dataclass(frozen=True)
class Wanted:
    """What a request wants to be recommended.

    Attributes:
        library: Name of a library; None for the first one, or for the request's own.
        own: The request's own captions.
        top: Number of captions.
        diverse: No two that say nearly the same.
        theme: Only captions of this theme.
        correction: Of popularity; None as usual.
    """

    library: str | None = None
    own: Library | None = None
    top: int = 5
    diverse: bool = False
    theme: str | None = None
    correction: str | None = None


@dataclass(eq=False)
class Libraries:
    """Libraries, and the embedding that ranks them. ``recommend`` belongs to one thread at a time.

    Attributes:
        embedder: The embedding.
        libraries: The libraries by their names, the default first.
        make_recommender: Makes what ranks a library, with a correction of popularity; None is the usual one.
    """

    embedder: Embedder
    libraries: Mapping[str, Library]
    make_recommender: Callable[[Library, str | None], Recommender]
    _known: "OrderedDict[tuple[str, str | None], Recommender]" = field(default_factory=OrderedDict)

    @property
    def default(self) -> str:
        """Name of the library of requests that name none."""
        return next(iter(self.libraries))

    def get(self, name: str | None = None) -> Library:
        """Returns a library by its name, by default the first.

        Raises:
            UnknownLibrary: There is none of this name.
        """
        found = self.libraries.get(self.default if name is None else name)
        if found is None:
            known = ", ".join(self.libraries)
            raise UnknownLibrary(f"library: {escaped(name or '')[:64]!r} is not served here (one of: {known})")
        return found

    def recommend(
        self, images: Sequence[Sequence[np.ndarray]], wanted: Wanted
    ) -> tuple[list[list[Recommendation]], list[str]]:
        """Returns the recommended captions of each image, and notes about captions that cannot be recommended.

        Args:
            images: For each image one array (H, W, 3) for each different encoder.
            wanted: What is wanted.

        Raises:
            CapsmithError: There is no such theme, or the captions cannot be used.
        """
        ranker = self._ranker(wanted.own if wanted.own is not None else self.get(wanted.library), wanted.correction)
        features = self.embedder.encode(*(np.stack(part) for part in zip(*images, strict=True)))
        themes = () if wanted.theme is None else (wanted.theme,)
        found = ranker.recommend_features(features, wanted.top, wanted.diverse, themes)
        return [list(one) for one in found], list(ranker.notes)

    def warm_up(self) -> None:
        """Embeds the libraries, and an image."""
        for library in self.libraries.values():
            self._ranker(library, None)
        self.embedder.encode(*(np.zeros((1, *size, 3), np.uint8) for size in self.embedder.image_sizes))

    def _ranker(self, library: Library, correction: str | None) -> Recommender:
        key = library.fingerprint, correction
        if key not in self._known:
            self._known[key] = self.make_recommender(library, correction)
        self._known.move_to_end(key)
        while len(self._known) > _RANKERS + len(self.libraries):
            self._known.popitem(last=False)
        return self._known[key]

    def describe(self) -> list[dict[str, Any]]:
        """Returns what a client should know about each library: no path."""
        return [
            {
                "name": name,
                "default": name == self.default,
                "model": self.embedder.name,
                "captions": len(library.captions),
                "themes": list(library.theme_counts),
            }
            for name, library in self.libraries.items()
        ]

    def content(self, name: str) -> dict[str, Any]:
        """Returns a library with its captions.

        Raises:
            UnknownLibrary: There is none of this name.
        """
        library = self.get(name)
        about = next(one for one in self.describe() if one["name"] == name)
        rows = zip(library.captions, library.descriptions, library.themes, strict=True)
        return about | {"entries": [_entry(*row) for row in rows]}


def _entry(caption: str, description: str, theme: str) -> dict[str, Any]:
    return {"caption": caption, "description": description or None, "theme": theme or None}
