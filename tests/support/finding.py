"""Libraries and indexes of colours for tests of the service: no network, and the truth is known by the colours."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from capsmith.core.errors import ConfigError, DataError
from capsmith.deploy.recommend.library import Library
from capsmith.deploy.recommend.recommender import Recommender
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


@dataclass
class ToyHit:
    id: int
    path: str
    semantic: float | None
    visual: float | None
    words: float | None
    caption: str | None
    duplicates: tuple


class ToyIndex:
    """All images of a folder, by their names."""

    def __init__(self, folder, embedder):
        self.folder, self.embedder = folder, embedder
        self.names = sorted(path.name for path in folder.glob("*.png"))
        pixels = np.stack([load_image(folder / name, (16, 16)) for name in self.names])
        features = embedder.encode(pixels)
        self.semantic, self.visual = embedder.embed_features(features), embedder.visual_vectors(features)

    def __len__(self):
        return len(self.names)

    def captioned(self):
        return 0

    def path(self, id):
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
                int(n) + 1,
                self.names[n],
                float(semantic[n]),
                None if visual is None else float(visual[n]),
                None,
                None,
                (),
            )
            for n in order
        ]

    def search_text(self, text, top, threshold, fold):
        return self._hits(self.semantic @ self.embedder.embed_texts([text])[0], None, top, threshold)

    def search_vectors(self, semantic, visual, top, threshold, by, fold):
        return self._hits(self.semantic @ semantic, self.visual @ visual, top, threshold, by)

    def more_like(self, id, top, threshold, by, fold):
        n = id - 1
        return self._hits(self.semantic @ self.semantic[n], self.visual @ self.visual[n], top, threshold, by, n)

    def search_words(self, words, top, threshold, fold):
        raise ConfigError("the index has no captions")


def colour_photos(folder: Path, copies: int = 2) -> Path:
    """Writes images of the colours, ``red-0.png`` …; each is a little darker than the one before."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, colour in COLOURS.items():
        for number in range(copies):
            shade = tuple(max(0, part - 12 * number) for part in colour)
            Image.new("RGB", (48, 32), shade).save(folder / f"{name}-{number}.png")
    return folder


def toy_embedder():
    """With a bank of colours, against which the popularity of captions is measured."""
    bank = ToyEmbedder().embed_texts(list(COLOURS))
    return SharedEmbedder(ToyEmbedder(bank=bank))


def toy_libraries(embedder=None):
    embedder = embedder or toy_embedder()
    library = Library.of(*zip(*CAPTIONS, strict=True))
    return Libraries(
        embedder,
        {"social": library},
        lambda library, correction: Recommender(embedder, library, None, correction),
    )


def toy_index(folder, home, name="colours", embedder=None, scan=None):
    """An index of the images of a folder; ``home`` is where it would be."""
    embedder = embedder or toy_embedder()
    home.mkdir(exist_ok=True)

    def again(told):
        told(0, None)
        return {"new": 0}

    return ServedIndex(name, OpenIndex(home, embedder, ToyIndex(folder, embedder), scan or again))


def finding_app(folder, home, settings=None, **more):
    """The service over quick captioners, with a library and an index of colours."""
    embedder = toy_embedder()
    index = toy_index(folder, home, embedder=embedder, **more)
    embeddings = Embeddings(Worker("embedding", 64), toy_libraries(embedder), {index.name: index})
    app = quick_app(settings)
    app.state.service.models.embeddings = embeddings
    return app
