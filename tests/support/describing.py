"""Toy parts of descriptions: a captioner of one sentence, a detector of the same objects, a source of a folder."""

from pathlib import Path

from capsmith.core.errors import CapsmithError
from capsmith.deploy.describe.parts import ImageVectors, SourceImage
from capsmith.deploy.describe.pipeline import Describer
from capsmith.deploy.describe.record import Names
from capsmith.deploy.recommend.library import Library
from capsmith.deploy.recommend.recommender import Recommender
from capsmith.deploy.search import ImageIndex, build_index
from capsmith.models.caption import Caption
from capsmith.vision.detection.detector import Detected, Detection
from tests.support.toy_embedder import ToyEmbedder
from tests.support.toy_index import make_photos

SENTENCE = "a woman throws a frisbee to two dogs on the grass"
OBJECTS = (
    Detection("dog", 0.9, (0.0, 0.0, 8.0, 8.0)),
    Detection("person", 0.8, (16.0, 4.0, 32.0, 16.0)),
    Detection("dog", 0.7, (8.0, 8.0, 16.0, 16.0)),
    Detection("car", 0.6, (0.0, 8.0, 4.0, 12.0)),
)


class SentenceCaptioner:
    """Says the same of each image."""

    def __init__(self, sentence: str = SENTENCE) -> None:
        self.sentence = sentence

    def caption(self, images):
        return Caption(self.sentence, -1.0, -2.0, (Caption("a dog", -2.0, -3.0),), tuple(self.sentence.split()))


class FixedDetector:
    """Finds the same objects in each image."""

    name, fingerprint, labels, threshold = "fixed", "1", ["person", "dog", "car", "frisbee"], 0.5

    def __init__(self, objects=OBJECTS) -> None:
        self.objects = objects

    def detect(self, image, threshold=None):
        least = self.threshold if threshold is None else threshold
        return Detected(32, 16, tuple(one for one in self.objects if one.score >= least))


class FolderSource:
    """Has the images of a folder for each query; ``queries`` are those that were asked."""

    name, reads_query = "folder", True

    def __init__(self, folder: Path) -> None:
        self.folder, self.queries = folder, []

    def images(self, query):
        self.queries.append(query)
        for path in sorted(self.folder.glob("*.png")):
            yield SourceImage(path, path.stem, f"https://example.org/{path.stem}", f"by {path.stem}")


class Broken:
    """Fails, whatever it is asked."""

    name, fingerprint, labels, threshold, correction, reads_query = "broken", "", (), 0.5, "none", True

    def __init__(self, message: str = "it broke", error: type[Exception] = CapsmithError) -> None:
        self.message, self.error = message, error

    def __len__(self):
        return 1

    def _fail(self, *arguments, **more):
        raise self.error(self.message)

    caption = detect = vectors = search_vectors = path = recommend_vectors = images = pixels = batch = _fail


def toy_parts(folder: Path) -> dict:
    """Returns every part, over photographs of colours in ``folder/photos``."""
    photos = make_photos(folder / "photos")
    embedder = ToyEmbedder()
    build_index(photos, folder / "photos.index", embedder)
    return {
        "captioner": SentenceCaptioner(),
        "detector": FixedDetector(),
        "vectors": ImageVectors(embedder),
        "index": ImageIndex.open(folder / "photos.index", embedder),
        "recommender": Recommender(embedder, Library.of(["red thing", "blue thing", "green thing"])),
        "source": FolderSource(photos),
        "names": Names("toy", "fixed", "photos.index", "things"),
    }


def toy_describer(folder: Path, **parts) -> Describer:
    """Returns a describer of all toy parts but those that are given."""
    return Describer(**{**toy_parts(folder), **parts})
