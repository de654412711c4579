"""Libraries and indexes of colours for tests of the service: no network, and the truth is known by the colours."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from capsmith.core.errors import ConfigError, DataError
from capsmith.deploy.serving.embedding.embeddings import Embeddings
from capsmith.deploy.serving.embedding.indexes import OpenIndex, ServedIndex
from capsmith.deploy.serving.embedding.libraries import Libraries
from capsmith.deploy.serving.embedding.shared_embedder import SharedEmbedder
from capsmith.deploy.serving.embedding.worker import Worker
from capsmith.vision.images import load_image
from tests.support.service import quick_app
from tests.support.toy_embedder import COLOURS, ToyEmbedder

CAPTIONS = [
    ("Roses are red", "red", "warm"),
    ("Out of the blue", "blue", "cool"),
    ("Touch green grass", "green", "cool"),
    ("Mellow yellow", "yellow", "warm"),
    ("White lies", "white", ""),
]
"""Caption, description and theme."""


@dataclass(frozen=True)
class ToyLibrary:
    captions: tuple
    descriptions: tuple
    themes: tuple

    @classmethod
    def of(cls, captions, descriptions, themes):
        if any(not caption.strip() for caption in captions):
            raise DataError("a caption is empty")
        return cls(tuple(captions), tuple(descriptions), tuple(themes))

    @property
    def fingerprint(self):
        return hashlib.sha256(repr((self.captions, self.descriptions, self.themes)).encode()).hexdigest()


@dataclass(frozen=True)
class ToyRecommendation:
    rank: int
    caption: str
    similarity: float
    score: float
    theme: str


class ToyRecommender:
    def __init__(self, embedder, library, correction):
        self.embedder, self.library, self.correction = embedder, library, correction
        self.vectors = embedder.embed_texts(
            [d or c for c, d in zip(library.captions, library.descriptions, strict=True)]
        )

    def recommend_features(self, features, top=5, diverse=False, themes=()):
        if themes and not set(themes) <= set(self.library.themes):
            raise ConfigError(f"library has no theme '{themes[0]}'")
        found = []
        for row in self.embedder.embed_features(features) @ self.vectors.T:
            order = [n for n in np.argsort(-row) if not themes or self.library.themes[n] in themes][:top]
            found.append(
                [
                    ToyRecommendation(
                        rank, self.library.captions[n], float(row[n]), float(row[n]), self.library.themes[n]
                    )
                    for rank, n in enumerate(order, start=1)
                ]
            )
        return found


@dataclass
class ToyHit:
    id: int
    path: str
    semantic: float | None
    visual: float | None
    caption: str | None
    duplicates: tuple


class ToyIndex:
    """All images of a folder, by their names."""

    has_captions = False

    def __init__(self, folder, embedder):
        self.folder, self.embedder = folder, embedder
        self.names = sorted(path.name for path in folder.glob("*.png"))
        pixels = np.stack([load_image(folder / name, (16, 16)) for name in self.names])
        features = embedder.encode(pixels)
        self.semantic, self.visual = embedder.embed_features(features), embedder.visual_vectors(features)

    @property
    def images(self):
        return len(self.names)

    def file(self, id):
        if not 1 <= id <= len(self.names):
            raise DataError(f"there is no image {id}")
        return self.folder / self.names[id - 1]

    def _hits(self, semantic, visual, top, threshold, by="semantic", without=None):
        scores = {"semantic": semantic, "visual": visual, "both": None}[by]
        scores = (semantic + visual) / 2 if scores is None else scores
        order = [n for n in np.argsort(-scores, kind="stable") if n != without]
        order = [n for n in order if threshold is None or scores[n] >= threshold][:top]
        return [
            ToyHit(
                int(n) + 1, self.names[n], float(semantic[n]), None if visual is None else float(visual[n]), None, ()
            )
            for n in order
        ]

    def search_text(self, text, top, threshold, fold):
        return self._hits(self.semantic @ self.embedder.embed_texts([text])[0], None, top, threshold)

    def search_pixels(self, pixels, top, threshold, by, fold):
        features = self.embedder.encode(*(one[None] for one in pixels))
        semantic = self.semantic @ self.embedder.embed_features(features)[0]
        return self._hits(semantic, self.visual @ self.embedder.visual_vectors(features)[0], top, threshold, by)

    def more_like(self, id, top, threshold, by, fold):
        n = id - 1
        return self._hits(self.semantic @ self.semantic[n], self.visual @ self.visual[n], top, threshold, by, n)

    def search_words(self, words, top, fold):
        raise ConfigError("the index has no captions")


def colour_photos(folder: Path, copies: int = 2) -> Path:
    """Writes images of the colours, ``red-0.png`` …; each is a little darker than the one before."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, colour in COLOURS.items():
        for number in range(copies):
            shade = tuple(max(0, part - 12 * number) for part in colour)
            Image.new("RGB", (48, 32), shade).save(folder / f"{name}-{number}.png")
    return folder


def toy_libraries(embedder=None):
    embedder = embedder or SharedEmbedder(ToyEmbedder())
    library = ToyLibrary.of(*zip(*CAPTIONS, strict=True))
    return Libraries(
        embedder,
        {"social": library},
        lambda library, correction: ToyRecommender(embedder, library, correction),
        ToyLibrary.of,
    )


def toy_index(folder, home, name="colours", embedder=None, scan=None):
    """An index of the images of a folder; ``home`` is where it would be."""
    embedder = embedder or SharedEmbedder(ToyEmbedder())
    home.mkdir(exist_ok=True)

    def again(told):
        told(0, None)
        return {"new": 0}

    return ServedIndex(name, OpenIndex(home, embedder, lambda: ToyIndex(folder, embedder), scan or again))


def finding_app(folder, home, settings=None, **more):
    """The service over quick captioners, with a library and an index of colours."""
    embedder = SharedEmbedder(ToyEmbedder())
    index = toy_index(folder, home, embedder=embedder, **more)
    embeddings = Embeddings(Worker("embedding", 64), toy_libraries(embedder), {index.name: index})
    app = quick_app(settings)
    app.state.service.models.embeddings = embeddings
    return app
