"""What every dataset reader returns: records, in splits, and what was wrong with the files."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from capsmith.core.errors import PluginError
from capsmith.core.registry import Registry
from capsmith.core.schema import Settings
from capsmith.core.scopes import Scope
from capsmith.data.text.config import TextConfig
from capsmith.data.text.tokens import tokenise

SPLITS = ("train", "dev", "test")
SplitName = Literal["train", "dev", "test"]


class DatasetConfig(Settings):
    """What all datasets share."""

    type: str
    """A name from ``capsmith list datasets``."""
    root: Annotated[Path, Scope.FILES]
    """The folder that holds the images and captions, relative to where you stand."""
    max_problems: Annotated[float, Scope.FILES] = Field(default=0.01, ge=0, le=1)
    """Largest share of caption rows, or of images, that may be unusable before reading stops with an error."""
    subset: bool = False
    """Whether only some of the captioned images are there: captions of the others are passed over."""
    require_images: bool = True
    """Leave out captions whose image file is missing. false keeps them, as training from a pickle of features does by
    itself."""
    limit: int | None = Field(default=None, ge=1)
    """Use only the first N images of each split, for a trial."""

    def missing(self) -> Iterator[str]:
        """Yields a line for each file or folder below ``root`` that is named and is not there."""
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
    """A seeded split by image: all captions of an image land on the same side."""

    dev: float = Field(default=0.1, ge=0, lt=1)
    """Share of the images for dev."""
    test: float = Field(default=0.1, ge=0, lt=1)
    """Share of the images for test."""
    seed: int = 0
    """Another seed gives another split."""
    together: tuple[tuple[str, ...], ...] = ()
    """Groups of images that stay in one split, such as copies of the same one."""

    @field_validator("together")
    @classmethod
    def _apart(cls, groups: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
        counts = Counter(name for group in groups for name in group)
        if twice := next((name for name, count in counts.items() if count > 1), None):
            raise ValueError(f"{twice} is named twice: join its groups")
        return tuple(group for group in groups if group)

    @model_validator(mode="after")
    def _leaves_some(self) -> "SplitConfig":
        if self.dev + self.test >= 1:
            raise ValueError(f"dev + test = {self.dev + self.test:g} leaves no image to train on")
        return self


@dataclass(frozen=True)
class Record:
    """One image and its captions.

    Attributes:
        image_id: Unique within the dataset: the file's name, or its path below the image folder.
        path: Where the image lies.
        captions: The captions as the dataset gives them, not cleaned; at least one.
        split: ``train``, ``dev``, ``test``, or an empty string for an image in none of them.
    """

    image_id: str
    path: Path
    captions: tuple[str, ...]
    split: str
    _tokens: dict[TextConfig, tuple[tuple[str, ...], ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def tokens(self, text: TextConfig) -> tuple[tuple[str, ...], ...]:
        """Returns the tokens of each caption. They are computed once and kept as long as the record.

        Args:
            text: Settings of cleaning and tokenisation.
        """
        if text not in self._tokens:
            self._tokens[text] = tuple(tuple(map(sys.intern, tokenise(caption, text))) for caption in self.captions)
        return self._tokens[text]


@dataclass
class Problems:
    """Counts what a reader left out, with examples."""

    found: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, example: str) -> None:
        """Notes one defect, such as ``add("missing image", "123.jpg")``."""
        self.found.setdefault(kind, []).append(example)

    def summary(self) -> str:
        """Returns one line: each kind with its count and up to three examples; empty when nothing is wrong."""
        parts = []
        for kind, examples in self.found.items():
            shown = ", ".join(examples[:3]) + (", …" if len(examples) > 3 else "")
            parts.append(f"{len(examples)} × {kind} ({shown})")
        return "; ".join(parts)


@dataclass(frozen=True)
class Corpus:
    """All records of a dataset, in file order, and the problems met on the way.

    Attributes:
        records: The images and their captions.
        problems: What was left out.
        repaired: What departs from the format and was read all the same, or was passed over as the config says.
    """

    records: tuple[Record, ...]
    problems: Problems = field(default_factory=Problems)
    repaired: Problems = field(default_factory=Problems)

    def split(self, name: str) -> list[Record]:
        """Returns the records of one split (``train``, ``dev`` or ``test``)."""
        return [record for record in self.records if record.split == name]

    def references(self, name: str) -> dict[str, list[str]]:
        """Returns the raw captions of one split by image id."""
        return {record.image_id: list(record.captions) for record in self.split(name)}


def read_dataset(config: DatasetConfig) -> Corpus:
    """Reads the dataset that a config's ``data`` section names.

    Args:
        config: The settings of a registered dataset.

    Returns:
        The corpus, cut to ``config.limit`` images a split.

    Raises:
        DataError: The files are missing or unusable beyond ``config.max_problems``.
    """
    corpus: Corpus = DATASETS.build(config)
    if DATASETS.settings.is_external(config.type):
        _require_records(corpus, config.type)
    if config.limit is None:
        return corpus
    seen: dict[str, int] = {}
    return replace(corpus, records=tuple(_first(corpus.records, config.limit, seen)))


def _require_records(corpus: Any, name: str) -> None:
    """Checks what a dataset from outside read.

    Raises:
        PluginError: It is no ``Corpus``, or a record of it cannot be used.
    """
    what = f"dataset '{name}'"
    if not isinstance(corpus, Corpus) or not all(isinstance(record, Record) for record in corpus.records):
        raise PluginError(f"{what} returned {type(corpus).__name__}: a capsmith.data.Corpus of Records is needed")
    seen: set[str] = set()
    for record in corpus.records:
        said = f"{what}: record {record.image_id!r:.80}"
        if not isinstance(record.image_id, str) or not record.image_id or record.image_id in seen:
            raise PluginError(f"{said}: image_id is a text of its own")
        if not isinstance(record.path, Path):
            raise PluginError(f"{said}: path is {record.path!r:.80}, not a Path")
        if record.split not in ("", *SPLITS):
            raise PluginError(f"{said}: split is {record.split!r:.80}, not one of {', '.join(SPLITS)} or empty")
        if (
            isinstance(record.captions, str)
            or not record.captions
            or not all(isinstance(c, str) for c in record.captions)
        ):
            raise PluginError(f"{said}: captions are {record.captions!r:.80}, not one text or more")
        seen.add(record.image_id)


def _first(records: Iterable[Record], limit: int, seen: dict[str, int]) -> Iterable[Record]:
    for record in records:
        seen[record.split] = seen.get(record.split, 0) + 1
        if seen[record.split] <= limit:
            yield record
