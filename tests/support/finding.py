"""Libraries and indexes of colours for tests of the service: no network, and the truth is known by the colours."""

import shutil
from pathlib import Path

from PIL import Image

from capsmith.deploy.recommend.library import Library
from capsmith.deploy.recommend.recommender import Recommender
from capsmith.deploy.search import ImageIndex, build_index
from capsmith.deploy.serving.describing.detecting import ServedDetector
from capsmith.deploy.serving.embedding.embeddings import Embeddings
from capsmith.deploy.serving.embedding.indexes import OpenIndex, ServedIndex
from capsmith.deploy.serving.embedding.libraries import Libraries
from capsmith.deploy.serving.embedding.shared_embedder import SharedEmbedder
from capsmith.deploy.serving.embedding.worker import Worker
from tests.support.service import quick_app
from tests.support.toy_detector import ToyDetector
from tests.support.toy_embedder import COLOURS, ToyEmbedder
from tests.support.toy_index import picture

CAPTIONS = [
    ("Roses are red", "red", "warm"),
    ("Out of the blue", "blue", "cool"),
    ("Touch green grass", "green", "cool"),
    ("Mellow yellow", "yellow", "warm"),
    ("White lies", "white", ""),
]
"""Caption, description and theme."""
DETECTED = {"red": "picture"}
"""What the toy detector calls a colour: the captions of the quick captioner name pictures."""


def colour_photos(folder: Path, copies: int = 2) -> Path:
    """Writes images of the colours, ``red-0.png`` …, which differ a little, and a copy: ``copy of red.png``."""
    folder.mkdir(parents=True, exist_ok=True)
    for place, name in enumerate(COLOURS):
        for number in range(copies):
            image = picture(name, seed=place * copies + number)
            image.resize((48, 32), Image.Resampling.NEAREST).save(folder / f"{name}-{number}.png")
    shutil.copyfile(folder / "red-0.png", folder / "copy of red.png")
    return folder


def toy_embedder():
    """With a bank of colours, against which the popularity of captions is measured."""
    bank = ToyEmbedder().embed_texts(list(COLOURS))
    return SharedEmbedder(ToyEmbedder("/secret folder/toy", bank=bank))


def toy_libraries(embedder=None):
    embedder = embedder or toy_embedder()
    library = Library.of(*zip(*CAPTIONS, strict=True))
    return Libraries(
        embedder,
        {"social": library},
        lambda library, correction: Recommender(embedder, library, None, correction),
    )


def toy_index(folder, home, name="colours", embedder=None, scan=None):
    """The index of the images of a folder, made at ``home``."""
    embedder = embedder or toy_embedder()
    build_index(folder, home, embedder)

    def again(told):
        report = build_index(folder, home, embedder, told=told)
        return {"total": report.total, "new": report.new, "deleted": report.deleted}

    return ServedIndex(name, OpenIndex(home, embedder, ImageIndex.open(home, embedder), scan or again))


def finding_app(folder, home, settings=None, **more):
    """The service over quick captioners, with a library and an index of colours, and a detector of colours."""
    embedder = toy_embedder()
    index = toy_index(folder, home, embedder=embedder, **more)
    embeddings = Embeddings(Worker("embedding", 64), toy_libraries(embedder), {index.name: index})
    embeddings.detector = ServedDetector(ToyDetector(DETECTED))
    app = quick_app(settings)
    app.state.service.models.embeddings = embeddings
    return app
