"""Lists the images below a folder, in the same way for every command."""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from capsmith.core.errors import DataError
from capsmith.vision.image_formats import IMAGE_ENDINGS, first_names

USUAL_ENDINGS = (".jpg", ".jpeg", ".png", ".webp")
"""File extensions that messages list first."""


@dataclass(frozen=True)
class ImageListing:
    """The contents of a folder.

    Attributes:
        folder: The folder.
        images: Relative paths of the images, sorted, without hidden files.
        others: Relative paths of the files without an image extension, sorted.
        hidden: Number of files and folders whose name begins with a dot, such as macOS's ``._a.jpg``.
        unreadable: Folders that cannot be read, each with the reason.
    """

    folder: Path
    images: tuple[str, ...]
    others: tuple[str, ...] = ()
    hidden: int = 0
    unreadable: tuple[str, ...] = ()

    def ignored_files(self) -> str:
        """Returns a phrase about ignored files; empty if there are none."""
        parts = []
        if self.others:
            kind = "file that is not an image" if len(self.others) == 1 else "files that are not images"
            parts.append(f"{len(self.others):,} {kind} ({first_names(self.others)})")
        if self.hidden:
            parts.append(f"{self.hidden:,} hidden")
        return "skipped " + " and ".join(parts) if parts else ""

    def none_found(self) -> DataError:
        """Returns the error for a folder without images, including what the folder does contain."""
        parts = [self.ignored_files(), *self.unreadable[:1]]
        return DataError("; ".join([f"the folder {self.folder} has no images ({endings()})", *filter(None, parts)]))


def endings() -> str:
    """Returns the image file extensions as a list for messages."""
    return ", ".join([*USUAL_ENDINGS, *sorted(IMAGE_ENDINGS.difference(USUAL_ENDINGS))])


def is_image_name(name: str) -> bool:
    """Returns whether a file counts as an image by its name: not hidden, and with an image extension."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_ENDINGS


def list_images(folder: Path, recursive: bool = True) -> ImageListing:
    """Lists the images below a folder, at any depth.

    Hidden files and folders are ignored. Links to folders are followed after all real folders. Each folder is visited
    once, so cycles of links are harmless.

    Args:
        folder: The folder.
        recursive: Look into the folders below it.

    Raises:
        DataError: The folder does not exist or cannot be read.
    """
    try:
        next(folder.iterdir(), None)
    except FileNotFoundError as error:
        raise DataError(f"{folder}: no such folder") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{folder}: {getattr(error, 'strerror', None) or error}") from error
    images: list[str] = []
    others: list[str] = []
    unreadable: list[str] = []
    hidden = 0
    for place, folders, files in _walk(folder, unreadable):
        below = os.path.relpath(place, folder)
        names = [name for name in files if not name.startswith(".")]
        hidden += len(files) - len(names) + sum(name.startswith(".") for name in folders)
        for name in names:
            path = name if below == "." else os.path.join(below, name)
            (images if is_image_name(name) else others).append(path)
        if not recursive:
            break
    return ImageListing(folder, _sorted(images), _sorted(others), hidden, tuple(sorted(unreadable)))


def _walk(folder: Path, unreadable: list[str]) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yields each folder and its contents like ``os.walk``; adds folders that cannot be read to ``unreadable``."""
    visited: set[str] = set()
    tops = deque([str(folder)])

    def note(error: OSError) -> None:
        unreadable.append(f"{error.filename}: {error.strerror}")

    while tops:
        for place, folders, files in os.walk(tops.popleft(), onerror=note):
            real = os.path.realpath(place)
            if real in visited:
                folders.clear()
                continue
            visited.add(real)
            yield place, folders, files
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            tops.extend(path for name in folders if os.path.islink(path := os.path.join(place, name)))


def _sorted(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(paths, key=lambda path: PurePath(path).parts))
