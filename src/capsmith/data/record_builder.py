"""Builds records from caption rows; used by all readers.

A row is an image id and one caption. Unusable rows and missing images are skipped and counted. Too many of either raise
an error that lists examples.
"""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath

from capsmith.core.errors import DataError
from capsmith.core.unicode import nfc
from capsmith.data.records import Corpus, DatasetConfig, Problems, Record
from capsmith.vision.image_formats import IMAGE_ENDINGS

AssignSplits = Callable[[Iterable[str]], Mapping[str, str]]
IMAGES = IMAGE_ENDINGS
"""Image file extensions, in lower case."""
SKIPPED = "image that does not exist (data.subset is true)"
"""The kind of problem that does not count as bad."""
SURROGATE = "row with an unpaired surrogate, which UTF-8 cannot encode"
"""A kind of problem, as are the next ones."""
EMPTY = "empty caption"
DUPLICATE = "duplicate row"
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


def safe_id(image_id: str) -> str | None:
    """Returns an image id as a relative path in NFC; None if it is empty or outside the image folder."""
    text = nfc(image_id.strip())
    parts = re.split(r"[\\/]", text)
    if not text or not parts[0] or ".." in parts or "\0" in text or _DRIVE.match(text):
        return None
    return PurePosixPath(text).as_posix()


def has_surrogates(text: str) -> bool:
    """Returns whether a text has unpaired surrogates."""
    return any("\ud800" <= character <= "\udfff" for character in text)


def is_empty(caption: str) -> bool:
    """Returns whether a caption has neither letters nor digits."""
    return not any(character.isalnum() for character in caption)


def require_few(config: DatasetConfig, source: Path, what: str, bad: int, total: int, because: str) -> None:
    """Raises DataError if more rows or images are unusable than ``config.max_bad_fraction`` allows."""
    if total and bad / total > config.max_bad_fraction:
        raise DataError(
            f"{source}: {bad} of {total} {what} cannot be used, more than data.max_bad_fraction "
            f"({config.max_bad_fraction:g}) allows{because}; correct them, or raise the limit"
        )


class ImageDirectory:
    """Finds images below a folder. Lists each subfolder once instead of checking every file.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._listed: dict[PurePosixPath, dict[str, str]] = {}
        self._stems: dict[PurePosixPath, dict[str, str]] = {}
        self._folded: dict[PurePosixPath, dict[str, str]] = {}

    def find(self, image_id: str) -> Path | None:
        """Returns the path of an image, or None if there is no such file."""
        relative = PurePosixPath(image_id)
        name = self._names(relative.parent).get(relative.name)
        return None if name is None else self.root.joinpath(*relative.parent.parts, name)

    def with_ending(self, image_id: str) -> str:
        """Returns an id with the file extension added, if it has none and exactly one image matches."""
        relative = PurePosixPath(image_id)
        names = self._names(relative.parent)
        if relative.parent not in self._stems:
            images = [PurePosixPath(name) for name in names if PurePosixPath(name).suffix.lower() in IMAGES]
            counts = Counter(image.stem for image in images)
            self._stems[relative.parent] = {p.stem: p.suffix for p in images if counts[p.stem] == 1}
        return image_id if relative.name in names else image_id + self._stems[relative.parent].get(relative.name, "")

    def ignoring_case(self, image_id: str) -> str | None:
        """Returns the id of the only file whose name differs at most in case, or None."""
        relative = PurePosixPath(image_id)
        names = self._names(relative.parent)
        if relative.parent not in self._folded:
            counts = Counter(name.casefold() for name in names)
            self._folded[relative.parent] = {n.casefold(): n for n in names if counts[n.casefold()] == 1}
        name = self._folded[relative.parent].get(relative.name.casefold())
        return None if name is None else (relative.parent / name).as_posix()

    def similar(self, image_id: str) -> str | None:
        """Returns a file whose name differs only in case or file extension, as a suggestion for a message."""
        relative = PurePosixPath(image_id)
        names = self._names(relative.parent).values()
        wanted = {relative.name.casefold(), relative.stem.casefold()}
        return next((name for name in names if {name.casefold(), Path(name).stem.casefold()} & wanted), None)

    def _names(self, folder: PurePosixPath) -> dict[str, str]:
        if folder not in self._listed:
            try:
                with os.scandir(self.root.joinpath(*folder.parts)) as entries:
                    # macOS writes file names decomposed: é is two characters there, and one in the captions
                    self._listed[folder] = {
                        unicodedata.normalize("NFC", entry.name): entry.name for entry in entries if entry.is_file()
                    }
            except (FileNotFoundError, NotADirectoryError):
                self._listed[folder] = {}
            except OSError as error:
                raise DataError(f"cannot read the folder {self.root / folder}: {error.strerror or error}") from error
        return self._listed[folder]


class RecordBuilder:
    """Collects the rows of one captions file and turns them into records.

    Args:
        config: The settings of the dataset.
        source: The captions file, for messages.
        images: The image folder.
        repeats: Number of captions up to which identical captions of an image do not count as duplicates. Without
            caption numbers, identical captions by two people cannot be distinguished from a repeated row.
        add_ending: Add the file extension to ids that have none, if exactly one image matches.
    """

    def __init__(
        self, config: DatasetConfig, source: Path, images: Path, repeats: int = 0, add_ending: bool = False
    ) -> None:
        self.config, self.source, self.repeats, self.add_ending = config, source, repeats, add_ending
        self.folder = ImageDirectory(images)
        self.problems, self.repaired = Problems(), Problems()
        self._rows = self._bad_rows = self._bad_images = 0
        self._captions: dict[str, list[str]] = {}
        self._splits: dict[str, str] = {}
        self._keys: set[tuple[str, str]] = set()

    def reject(self, kind: str, example: str) -> None:
        """Counts a row that cannot be used."""
        self._rows += 1
        self._bad_row(kind, example)

    def add(self, image_id: str, caption: str, split: str = "", key: str | None = None) -> None:
        """Adds one row.

        Args:
            image_id: The file name of the image, or its path below the image folder.
            caption: The raw caption.
            split: The split of the image, if the row has one.
            key: The number of the caption within its image, if the file has one (``#0``).

        Raises:
            DataError: An earlier row puts the image into another split.
        """
        self._rows += 1
        if has_surrogates(image_id + caption):
            self._bad_row(SURROGATE, ascii(image_id))
            return
        name = safe_id(image_id)
        if name is None:
            self._bad_row("id outside the image folder", image_id.strip() or "(empty)")
            return
        name = self.folder.with_ending(name) if self.add_ending else name
        captions = self._captions.setdefault(name, [])
        self._add_split(name, split)
        if is_empty(caption):
            self._bad_row(EMPTY, name)
        elif key is not None and (name, key) in self._keys:
            self._bad_row(DUPLICATE, f"{name}#{key}")
        else:
            captions.append(caption.strip())
            if key is not None:
                self._keys.add((name, key))

    def build(self, assign: AssignSplits | None = None) -> Corpus:
        """Checks the rows and returns the records.

        Args:
            assign: Returns the split of each image id; None uses the splits of the rows. Returned ids that
                no row has count as problems.

        Returns:
            The records in order of their first row.

        Raises:
            DataError: More rows or images are unusable than ``config.max_bad_fraction`` allows, or all are.
        """
        splits = self._splits if assign is None else assign(self._captions)
        unlisted = [image_id for image_id in splits if image_id not in self._captions]
        for image_id in unlisted:
            self._bad_image("listed image without captions", image_id)
        records = [
            Record(image_id, path, tuple(captions), splits.get(image_id, ""))
            for image_id, captions, path in self._usable()
        ]
        self._check("caption rows", self._bad_rows, self._rows)
        self._check("images", self._bad_images, len(self._captions) + len(unlisted))
        if not records:
            raise DataError(f"{self.source} has no usable captions{self._because()}")
        return Corpus(tuple(records), self.problems, self.repaired)

    def _usable(self) -> Iterable[tuple[str, list[str], Path]]:
        for image_id, raw in self._captions.items():
            captions = raw if self._keys else self._without_repeats(image_id, raw)
            path = self.folder.find(image_id)
            if path is None and not self.config.require_images:
                path = self.folder.root / image_id
            if path is None and self.config.subset:
                self.problems.add(SKIPPED, image_id)
            elif path is None:
                is_image = PurePosixPath(image_id).suffix.lower() in IMAGES
                self._bad_image("missing image" if is_image else "stray id", image_id)
            elif captions:
                yield image_id, captions, path

    def _without_repeats(self, image_id: str, captions: list[str]) -> list[str]:
        counts = Counter(captions)
        surplus = len(captions) - self.repeats
        unique: list[str] = []
        for caption in reversed(captions):
            if counts[caption] > 1 and surplus > 0:
                counts[caption] -= 1
                surplus -= 1
                self._bad_row(DUPLICATE, f"{image_id}: {caption[:40]}")
            else:
                unique.append(caption)
        return unique[::-1]

    def _add_split(self, image_id: str, split: str) -> None:
        known = self._splits.setdefault(image_id, split)
        if split and not known:
            self._splits[image_id] = split
        elif split and known != split:
            raise DataError(
                f"{self.source}: {image_id} is in {known} and in {split}; all captions of an image must be in one split"
            )

    def _bad_row(self, kind: str, example: str) -> None:
        self._bad_rows += 1
        self.problems.add(kind, example)

    def _bad_image(self, kind: str, example: str) -> None:
        self._bad_images += 1
        self.problems.add(kind, example)

    def _check(self, what: str, bad: int, total: int) -> None:
        require_few(self.config, self.source, what, bad, total, self._because())

    def _because(self) -> str:
        if not self.problems.by_kind:
            return ""
        line = f": {self.problems.summary()}"
        kinds = ("missing image", "stray id", SKIPPED)
        missing = [image_id for kind in kinds for image_id in self.problems.by_kind.get(kind, ())]
        if not missing:
            return line
        similar = self.folder.similar(missing[0])
        suggestion = f", which contains '{similar}'" if similar else ""
        hint = "" if similar else " (if you have only some of the images, set data.subset: true)"
        return f"{line}; looked in {self.folder.root}{suggestion}{hint}"
