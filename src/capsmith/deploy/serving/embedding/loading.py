"""Libraries and indexes of a command line: checked at once, loaded in the background."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from capsmith.core.errors import ConfigError
from capsmith.core.user_cache import user_cache
from capsmith.deploy.recommend.library import EXAMPLE as LIBRARY
from capsmith.deploy.recommend.library import Library
from capsmith.deploy.recommend.recommender import Recommender
from capsmith.deploy.recommend.vectors import FOLDER
from capsmith.deploy.search.build import Report, build_index
from capsmith.deploy.search.image_index import ImageIndex
from capsmith.deploy.search.index_file import IndexFile
from capsmith.deploy.search.model import model_of_index
from capsmith.deploy.serving.describing.detecting import ServedDetector
from capsmith.deploy.serving.embedding.embeddings import Embeddings
from capsmith.deploy.serving.embedding.indexes import OpenIndex, ServedIndex, Told
from capsmith.deploy.serving.embedding.libraries import Libraries
from capsmith.deploy.serving.embedding.shared_embedder import SharedEmbedder
from capsmith.deploy.serving.embedding.worker import Worker
from capsmith.deploy.serving.settings import ServeSettings
from capsmith.models import embedders
from capsmith.retrieval.embedder import Embedder
from capsmith.vision.detection import load_detector

EXAMPLE = "social"
"""Name of the library that comes with capsmith."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,63}")
_OTHER = re.compile(r"[^A-Za-z0-9._\-]+")


@dataclass(frozen=True)
class Finding:
    """What a command line says about recommendations and search.

    Attributes:
        recommend: The runs of the embedding that ranks captions; several form an ensemble.
        engine: Its engine instead, such as ``clip:PRESET``.
        captions: Libraries, each ``PATH`` or ``NAME=PATH``; without any the one that comes with capsmith.
        search: Indexes, each ``PATH`` or ``NAME=PATH``.
        detector: A detector: an ONNX file, or ``hub:PRESET``.
    """

    recommend: Sequence[Path] = ()
    engine: str | None = None
    captions: Sequence[str] = ()
    search: Sequence[str] = ()
    detector: str | None = None


def embeddings_of(finding: Finding, settings: ServeSettings, load_keras: Callable[[], None]) -> Embeddings:
    """Returns what a command line asks for, to be loaded.

    Args:
        finding: What it says.
        settings: The limits.
        load_keras: Called before images are embedded for the first time.

    Raises:
        ConfigError: Names are invalid or occur twice, or options do not fit together.
        DataError: A library cannot be read.
        ImageIndexError: A path is no index.
    """
    if finding.recommend and finding.engine:
        raise ConfigError(f"--recommend {finding.recommend[0]} and --engine {finding.engine}: use one of them")
    recommends = bool(finding.recommend or finding.engine)
    if finding.captions and not recommends:
        raise ConfigError(
            f"--captions {finding.captions[0]}: also name the embedding that ranks them, with --recommend"
        )
    models = _Models(load_keras)
    indexes = {name: _index(name, path, models) for name, path in _named(finding.search, "--search").items()}
    libraries = _libraries(finding, models) if recommends else None
    detector = None if finding.detector is None else _detector(finding.detector, settings, load_keras)
    worker = Worker("embedding", settings.max_queue)
    return Embeddings(worker, load_libraries=libraries, load_indexes=indexes, load_detector=detector)


def _detector(name: str, settings: ServeSettings, load_keras: Callable[[], None]) -> Callable[[], ServedDetector]:
    is_hub = name.startswith("hub:")
    if not is_hub and not Path(name).expanduser().is_file():
        raise ConfigError(f"--detector {name}: no such file, see docs/detection.md")

    def load() -> ServedDetector:
        if is_hub:
            load_keras()
        served = ServedDetector(load_detector(name), Worker("detection", settings.max_queue))
        served.detector.detect(np.full((64, 64, 3), 114, np.uint8))
        return served

    return load


@dataclass
class _Models:
    """The embeddings that are loaded. Libraries and indexes of one model share it."""

    load_keras: Callable[[], None]
    known: dict[str, SharedEmbedder] = field(default_factory=dict)

    def shared(self, embedder: Embedder) -> SharedEmbedder:
        """Returns an embedder that threads can share, after it has embedded its first image."""
        if embedder.fingerprint not in self.known:
            self.load_keras()
            shared = SharedEmbedder(embedder)
            shared.encode(*(np.zeros((1, *size, 3), np.uint8) for size in shared.image_sizes))
            self.known[embedder.fingerprint] = shared
        return self.known[embedder.fingerprint]


def _libraries(finding: Finding, models: _Models) -> Callable[[], Libraries]:
    named = _named(finding.captions, "--captions")
    libraries = {name: _called(name, Library.read(path)) for name, path in (named or {EXAMPLE: LIBRARY}).items()}

    def load() -> Libraries:
        embedder = models.shared(embedders.load_embedder([*finding.recommend] or None, finding.engine))
        place = user_cache()
        folder = None if place is None else place / FOLDER
        own = {library.fingerprint for library in libraries.values()}

        def make(library: Library, correction: str | None) -> Recommender:
            return Recommender(embedder, library, folder if library.fingerprint in own else None, correction)

        found = Libraries(embedder, libraries, make)
        found.warm_up()
        return found

    return load


def _called(name: str, library: Library) -> Library:
    """Returns a library with a name: messages to clients must not tell its path."""
    return replace(library, name=name, notes=tuple(note.replace(library.name, name) for note in library.notes))


def _index(name: str, folder: Path, models: _Models) -> Callable[[], ServedIndex]:
    file = IndexFile.read(folder)

    def load() -> ServedIndex:
        embedder = models.known.get(file.fingerprint) or models.shared(model_of_index(folder))
        index = ImageIndex.open(folder, embedder)

        def scan(told: Told) -> Mapping[str, int]:
            report = build_index(index.root, folder, embedder, runs=file.runs, engine=file.engine, told=told)
            return _counts(report)

        return ServedIndex(name, OpenIndex(folder, embedder, index, scan))

    return load


def _counts(report: Report) -> dict[str, int]:
    names = ("total", "new", "changed", "moved", "deleted", "unchanged")
    return {name: getattr(report, name) for name in names} | {"failed": len(report.failed)}


def _named(arguments: Sequence[str], option: str) -> dict[str, Path]:
    """Returns paths by their names: each ``PATH``, which is called like its file, or ``NAME=PATH``."""
    found: dict[str, Path] = {}
    for argument in arguments:
        name, equals, rest = argument.partition("=")
        path = Path(argument)
        if equals and not path.exists():
            if not _NAME.fullmatch(name) or not rest:
                raise ConfigError(
                    f"{option} {argument[:160]}: write NAME=PATH; a name has up to 64 letters, digits, dots, dashes "
                    "and underscores"
                )
            path = Path(rest)
        else:
            name = _OTHER.sub("-", path.absolute().resolve().stem).strip("-._")[:64] or "default"
        if name in found:
            raise ConfigError(f"{option}: two are called {name}: give one another name, as in {name}-2={path}")
        found[name] = path
    return found
