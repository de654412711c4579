"""The result of every dataset reader: images with captions and splits, and the problems of the files."""

import sys
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field, field_validator, model_validator

from capsmith.core.errors import PluginError
from capsmith.core.registry import Registry
from capsmith.core.schema import Settings
from capsmith.core.scopes import Scope
from capsmith.data.text.config import TextConfig
from capsmith.data.text.tokens import tokenise

SPLITS = ("train", "dev", "test")


class DatasetConfig(Settings):
    """Settings that all datasets share."""

    renamed: ClassVar[dict[str, str]] = {"max_problems": "max_bad_fraction"}

    type: str
    """A name from ``capsmith list datasets``."""
    root: Annotated[Path, Scope.FILES]
    """The folder that holds images and captions, relative to the current directory."""
    max_bad_fraction: Annotated[float, Scope.FILES] = Field(default=0.01, ge=0, le=1)
    """Largest fraction of caption rows, or of images, that may be unusable before reading stops with an error. Raise it
    only after checking the problems: ``capsmith inspect`` lists them."""
    subset: bool = False
    """true if only some of the captioned images exist: captions of the others are skipped without counting as bad."""
    require_images: bool = True
    """Skip captions whose image file is missing. Training from a pickle of features needs no images and turns this off
    automatically."""
    limit: int | None = Field(default=None, ge=1)
    """Use only the first N images of each split, for a quick trial."""

    def missing(self) -> Iterator[str]:
        """Yields a line for each configured file or folder below ``root`` that does not exist."""
        if not self.root.is_dir():
            yield f"data.root: no folder {self.root}"
            return
        for key, path in _paths(self, "data"):
            if key != "data.root" and not (self.root / path).exists():
                yield f"{key}: {self.root} has no {path}"


def _paths(settings: Settings, key: str) -> Iterator[tuple[str, Path]]:
    for name, value in settings:
        if isinstance(value, Path):
            yield f"{key}.{name}", value
        elif isinstance(value, Settings):
            yield from _paths(value, f"{key}.{name}")


DATASETS = Registry("dataset", DatasetConfig)


class SplitConfig(Settings):
    """A seeded random split by image: all captions of an image are in the same split."""

    renamed: ClassVar[dict[str, str]] = {"together": "groups"}

    dev: float = Field(default=0.1, ge=0, lt=1)
    """Fraction of the images for dev."""
    test: float = Field(default=0.1, ge=0, lt=1)
    """Fraction of the images for test."""
    seed: int = 0
    """Seed of the split."""
    groups: tuple[tuple[str, ...], ...] = ()
    """Groups of images that stay in one split, such as copies of one photo: ``[[a.jpg, a_small.jpg], …]``. With copies
    in different splits, a model would be tested on training images."""

    @field_validator("groups")
    @classmethod
    def _disjoint(cls, groups: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
        counts = Counter(name for group in groups for name in group)
        if repeated := next((name for name, count in counts.items() if count > 1), None):
            raise ValueError(f"{repeated} is listed twice: merge its groups")
        return tuple(group for group in groups if group)

    @model_validator(mode="after")
    def _some_train(self) -> "SplitConfig":
        if self.dev + self.test >= 1:
            raise ValueError(f"dev + test = {self.dev + self.test:g} leaves no image to train on")
        return self


@dataclass(frozen=True)
class Record:
    """One image and its captions.

    Attributes:
        image_id: Unique within the dataset: the file name, or the path below the image folder.
        path: The image file.
        captions: The raw captions, not cleaned; at least one.
        split: ``train``, ``dev``, ``test``, or an empty string for an image in no split.
    """

    image_id: str
    path: Path
    captions: tuple[str, ...]
    split: str
    _tokens: dict[TextConfig, tuple[tuple[str, ...], ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def tokens(self, text: TextConfig) -> tuple[tuple[str, ...], ...]:
        """Returns the tokens of each caption, which are cached in the record.

        Args:
            text: Settings of cleaning and tokenisation.
        """
        if text not in self._tokens:
            self._tokens[text] = tuple(tuple(map(sys.intern, tokenise(caption, text))) for caption in self.captions)
        return self._tokens[text]


class LazyRecords(Sequence[Record], ABC):
    """Records that are made when they are used, see ``compact_records.py``."""

    @abstractmethod
    def image_id(self, index: int) -> str:
        """Returns the id of a record."""

    @abstractmethod
    def select(self, indices: np.ndarray) -> "LazyRecords":
        """Returns some of the records, given their places."""

    @abstractmethod
    def split(self, name: str) -> "LazyRecords":
        """Returns the records of a split."""


def chosen_records(records: Sequence[Record], choose: Callable[[Record], bool]) -> Sequence[Record]:
    """Returns the records for which a function is true; lazy ones stay lazy."""
    if not isinstance(records, LazyRecords):
        return [record for record in records if choose(record)]
    chosen = np.fromiter(map(choose, records), bool, len(records))
    return records if chosen.all() else records.select(np.flatnonzero(chosen))


@dataclass
class Problems:
    """Counts of what a reader skipped or repaired, with examples.

    Attributes:
        by_kind: Examples by kind of problem.
    """

    by_kind: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, example: str) -> None:
        """Counts one problem, such as ``add("missing image", "123.jpg")``."""
        self.by_kind.setdefault(kind, []).append(example)

    def summary(self) -> str:
        """Returns one line: each kind with its count and up to three examples; empty if there is no problem."""
        parts = []
        for kind, examples in self.by_kind.items():
            shown = ", ".join(examples[:3]) + (", …" if len(examples) > 3 else "")
            parts.append(f"{len(examples)} × {kind} ({shown})")
        return "; ".join(parts)


@dataclass(frozen=True)
class Corpus:
    """All records of a dataset in file order, and the problems of its files.

    Attributes:
        records: The images and their captions.
        problems: What was skipped.
        repaired: Deviations from the format that could be read, or that the config says to skip.
    """

    records: Sequence[Record]
    problems: Problems = field(default_factory=Problems)
    repaired: Problems = field(default_factory=Problems)

    def split(self, name: str) -> Sequence[Record]:
        """Returns the records of one split (``train``, ``dev`` or ``test``)."""
        if isinstance(self.records, LazyRecords):
            return self.records.split(name)
        return [record for record in self.records if record.split == name]

    def references(self, name: str) -> dict[str, list[str]]:
        """Returns the raw captions of one split by image id."""
        return {record.image_id: list(record.captions) for record in self.split(name)}


def read_dataset(config: DatasetConfig) -> Corpus:
    """Reads the dataset that a config's ``data`` section names.

    Args:
        config: The settings of a registered dataset.

    Returns:
        The corpus, limited to ``config.limit`` images per split.

    Raises:
        DataError: Files are missing, or more rows or images are unusable than ``config.max_bad_fraction`` allows.
    """
    corpus: Corpus = DATASETS.build(config)
    if DATASETS.settings.is_external(config.type):
        _require_records(corpus, config.type)
    if config.limit is None:
        return corpus
    counts: Counter[str] = Counter()

    def within(record: Record) -> bool:
        counts[record.split] += 1
        return counts[record.split] <= limit

    limit = config.limit
    return replace(corpus, records=chosen_records(corpus.records, within))


def _require_records(corpus: Any, name: str) -> None:
    """Checks the result of a reader from a plugin.

    Raises:
        PluginError: It is not a ``Corpus``, or one of its records is not valid.
    """
    dataset = f"dataset '{name}'"
    if not isinstance(corpus, Corpus) or not all(isinstance(record, Record) for record in corpus.records):
        raise PluginError(f"{dataset} returned {type(corpus).__name__}: a capsmith.data.Corpus of Records is needed")
    ids: set[str] = set()
    for record in corpus.records:
        where = f"{dataset}: record {record.image_id!r:.80}"
        if not isinstance(record.image_id, str) or not record.image_id or record.image_id in ids:
            raise PluginError(f"{where}: image_id must be a unique, non-empty text")
        if not isinstance(record.path, Path):
            raise PluginError(f"{where}: path is {record.path!r:.80}, not a Path")
        if record.split not in ("", *SPLITS):
            raise PluginError(f"{where}: split is {record.split!r:.80}, not one of {', '.join(SPLITS)} or empty")
        texts = record.captions
        if isinstance(texts, str) or not texts or not all(isinstance(text, str) for text in texts):
            raise PluginError(f"{where}: captions are {texts!r:.80}, not a sequence of texts")
        ids.add(record.image_id)
