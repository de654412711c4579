"""The images below a folder: one list of endings, and one way to list them for every command."""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from capsmith.core.errors import DataError
from capsmith.vision.image_formats import IMAGE_ENDINGS, first_names

USUAL_ENDINGS = (".jpg", ".jpeg", ".png", ".webp")
"""What messages name first."""


@dataclass(frozen=True)
class ImageListing:
    """What is below a folder.

    Attributes:
        folder: The folder.
        images: Paths of images below it, sorted; hidden files are none.
        others: Paths of files that are no images by their ending, sorted.
        hidden: How many files and folders have a name that begins with a dot, such as the ``._a.jpg`` of a Mac.
        unreadable: Folders that cannot be read, each with the reason.
    """

    folder: Path
    images: tuple[str, ...]
    others: tuple[str, ...] = ()
    hidden: int = 0
    unreadable: tuple[str, ...] = ()

    def passed_over(self) -> str:
        """Returns what was passed over in words; "" where that is nothing."""
        parts = []
        if self.others:
            kind = "file that is not an image" if len(self.others) == 1 else "files that are not images"
            parts.append(f"{len(self.others):,} {kind} ({first_names(self.others)})")
        if self.hidden:
            parts.append(f"{self.hidden:,} hidden")
        return "passed over " + " and ".join(parts) if parts else ""

    def none_found(self) -> DataError:
        """Returns the error that says that there are no images, and what there is."""
        endings = ", ".join([*USUAL_ENDINGS, *sorted(IMAGE_ENDINGS.difference(USUAL_ENDINGS))])
        parts = [self.passed_over(), *self.unreadable[:1]]
        return DataError("; ".join([f"the folder {self.folder} holds no images ({endings})", *filter(None, parts)]))


def is_image_name(name: str) -> bool:
    """Returns whether a file of this name is taken for an image: by its ending, and not where it is hidden."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_ENDINGS


def list_images(folder: Path) -> ImageListing:
    """Lists the images below a folder, at any depth.

    Hidden files and folders are passed over. Links to folders are followed, after all folders that really lie there;
    each folder is looked at once, so links may lead back.

    Raises:
        DataError: No such folder, or it cannot be read.
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
    return ImageListing(folder, _sorted(images), _sorted(others), hidden, tuple(sorted(unreadable)))


def _walk(folder: Path, unreadable: list[str]) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yields each folder with the names in it, as ``os.walk`` does; notes those that cannot be read."""
    walked: set[str] = set()
    tops = deque([str(folder)])

    def note(error: OSError) -> None:
        unreadable.append(f"{error.filename}: {error.strerror}")

    while tops:
        for place, folders, files in os.walk(tops.popleft(), onerror=note):
            real = os.path.realpath(place)
            if real in walked:
                folders.clear()
                continue
            walked.add(real)
            yield place, folders, files
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            tops.extend(path for name in folders if os.path.islink(path := os.path.join(place, name)))


def _sorted(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(paths, key=lambda path: PurePath(path).parts))
