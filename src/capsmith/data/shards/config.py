"""What both kinds of sharded data sets share: the shards of each split, and the table of their images."""

import glob
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import model_validator

from capsmith.core.errors import DataError
from capsmith.core.unicode import nfc
from capsmith.data.compact_records import CompactRecords
from capsmith.data.record_builder import DUPLICATE, EMPTY, SURROGATE, has_surrogates, is_empty, require_few
from capsmith.data.records import SPLITS, Corpus, DatasetConfig, Problems, SplitConfig
from capsmith.data.splits import seeded_split_codes

Pattern = str | tuple[str, ...]
_RANGE = re.compile(r"\{(\d{1,12})\.\.(\d{1,12})\}")
_MAX_SHARDS = 1_000_000


class ShardsConfig(DatasetConfig):
    """Shards of each split below ``root``, named by patterns.

    A pattern has wildcards (``train-*.tar``) or numbered names (``train-{000000..000012}.tar``); there may be several.
    """

    train: Pattern = ""
    """The shards of the training images: a pattern or several."""
    dev: Pattern | None = None
    """The shards of the images that choose the checkpoint."""
    test: Pattern | None = None
    """The shards of the images for the reported scores."""
    split: SplitConfig = SplitConfig()
    """The seeded random split by image, used if only ``train`` is given."""

    @model_validator(mode="after")
    def _some_dev(self) -> "ShardsConfig":
        if self.test is not None and self.dev is None:
            raise ValueError(
                "test is given, but not dev: name the shards of both, or of neither to draw them at random"
            )
        return self

    @property
    def has_splits(self) -> bool:
        """Whether the shards define splits."""
        return self.dev is not None

    def missing(self) -> Iterator[str]:
        """Yields a line for each pattern that names no file, or for a missing folder."""
        if not self.root.is_dir():
            yield f"data.root: no folder {self.root}"
            return
        for split in SPLITS:
            try:
                shards_of(self, split)
            except DataError as error:
                yield str(error)


def all_shards(config: ShardsConfig) -> Iterator[tuple[str, Path]]:
    """Yields the split and the path of each shard; the split is empty if it is drawn.

    Raises:
        DataError: A pattern names no file, or a file is in two splits.
    """
    if not config.root.is_dir():
        raise DataError(f"data.root: the folder {config.root} does not exist; set it with --set data.root=…")
    seen: dict[Path, str] = {}
    for split in SPLITS:
        for path in shards_of(config, split):
            if seen.setdefault(path, split) != split:
                raise DataError(f"data.{split}: {path} is also a shard of {seen[path]}")
            yield split if config.has_splits else "", path


def shards_of(config: ShardsConfig, split: str) -> list[Path]:
    """Returns the shards of a split, in order.

    Raises:
        DataError: A pattern names no file.
    """
    patterns = getattr(config, split)
    found: dict[str, None] = {}
    for pattern in (patterns,) if isinstance(patterns, str) else patterns or ():
        found |= dict.fromkeys(_matching(config.root, pattern, f"data.{split}"))
    return [config.root / name for name in found]


def _matching(root: Path, pattern: str, key: str) -> Iterator[str]:
    """Yields the names below a folder that a pattern matches."""
    for name in _numbered(pattern, key):
        names = sorted(glob.glob(name, root_dir=root, recursive=True))
        names = [each for each in names if (root / each).is_file()]
        if not names:
            raise DataError(f"{key}: {root} has no {name or 'shards: name them'}{_present(root, pattern)}")
        yield from names


def _numbered(pattern: str, key: str) -> Iterator[str]:
    """Yields the names of a pattern such as ``train-{000..012}.tar``."""
    parts = _RANGE.split(pattern)
    ranges = [(first, last) for first, last in zip(parts[1::3], parts[2::3], strict=True)]
    counts = [int(last) - int(first) + 1 for first, last in ranges]
    total = 1
    for (first, last), count in zip(ranges, counts, strict=True):
        total *= max(count, 0)
        if not 0 < total <= _MAX_SHARDS:
            raise DataError(f"{key}: {{{first}..{last}}} in {pattern} is empty, or more than {_MAX_SHARDS:,} shards")
    numbers = [[str(n).zfill(len(first)) for n in range(int(first), int(last) + 1)] for first, last in ranges]
    for chosen in itertools.product(*numbers):
        yield "".join(text + number for text, number in itertools.zip_longest(parts[::3], chosen, fillvalue=""))


def _present(root: Path, pattern: str) -> str:
    present = sorted(path.name for path in (root / pattern).parent.glob("*") if path.suffix in (".tar", ".parquet"))
    return f" (shards there: {', '.join(present[:5])}{', …' if len(present) > 5 else ''})" if present else ""


class ShardRows:
    """Collects images and captions as they stand in shards, in compact form, and counts what cannot be used.

    Args:
        config: The settings.
    """

    def __init__(self, config: ShardsConfig) -> None:
        self.config = config
        self.problems, self.repaired = Problems(), Problems()
        self._records = CompactRecords(config.root)
        self._rows = self._bad_rows = self._images = self._bad_images = 0

    def add(self, image_id: str, place: str, captions: Sequence[str], split: str) -> None:
        """Adds an image; one without usable captions is left out.

        Args:
            image_id: Its id.
            place: Its path below ``root``.
            captions: Its raw captions.
            split: Its split.
        """
        self._images += 1
        self._rows += len(captions)
        name = nfc(image_id.strip())
        if not name or has_surrogates(name + place) or "\0" in name:
            self.bad_image("image without a usable id", ascii(image_id)[:100])
            return
        kept: dict[str, None] = {}
        for caption in captions:
            text = caption.strip()
            if has_surrogates(text):
                self._bad_row(SURROGATE, name)
            elif is_empty(text):
                self._bad_row(EMPTY, name)
            elif text in kept:
                self._bad_row(DUPLICATE, f"{name}: {text[:40]}")
            else:
                kept[text] = None
        if kept:
            self._records.append(name, place, tuple(kept), split)

    def reject(self, kind: str, example: str) -> None:
        """Counts a caption that cannot be used."""
        self._rows += 1
        self._bad_row(kind, example)

    def bad_image(self, kind: str, example: str, counted: bool = True) -> None:
        """Counts an image that cannot be used; ``counted`` if ``add`` has counted it among all images."""
        self._images += not counted
        self._bad_images += 1
        self.problems.add(kind, example)

    def build(self, draw: bool) -> Corpus:
        """Checks what was added and returns the records.

        Args:
            draw: Draw the splits at random.

        Raises:
            DataError: More rows or images are unusable than ``data.max_bad_fraction`` allows, or all are; or an image
                is in two splits.
        """
        root = self.config.root
        because = f": {self.problems.summary()}" if self.problems.by_kind else ""
        require_few(self.config, root, "captions", self._bad_rows, self._rows, because)
        require_few(self.config, root, "images", self._bad_images, self._images, because)
        if not len(self._records):
            raise DataError(f"{root}: the shards have no images with usable captions{because}")
        try:
            records = self._records.merged()
        except DataError as error:
            raise DataError(f"{root}: {error}; all captions of an image must be in one split") from error
        if draw:
            ids = _Ids(records)
            records = records.in_splits(seeded_split_codes(ids, self.config.split))
        return Corpus(records, self.problems, self.repaired)

    def _bad_row(self, kind: str, example: str) -> None:
        self._bad_rows += 1
        self.problems.add(kind, example)


class _Ids(Sequence[str]):
    """The ids of records, made when they are used."""

    def __init__(self, records: CompactRecords) -> None:
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._records.image_id(index)
