"""The images that a command names: files and folders become a list, in order, with short names."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from capsmith.core.errors import CapsmithError, DataError
from capsmith.data.image_listing import ImageListing, list_images


class Item(NamedTuple):
    """One image.

    Attributes:
        path: The file, as the command named it.
        name: Its path relative to the root of the selection; journals and results name it so.
    """

    path: Path
    name: str


@dataclass(frozen=True)
class Selection:
    """The images of a command.

    Attributes:
        items: The images in order.
        root: The folder that the command names, or the one folder that all images are in; None if there is no such.
        failed: Errors of folders that cannot be read.
        skipped: For each folder its files that are no images.
    """

    items: tuple[Item, ...]
    root: Path | None
    failed: tuple[CapsmithError, ...]
    skipped: tuple[ImageListing, ...]

    @property
    def paths(self) -> list[Path]:
        """The files of the images."""
        return [item.path for item in self.items]

    def rooted(self) -> "Selection":
        """Returns the selection with each image once, and with a root: if need be, the folder above all images."""
        root, items = self.root, self.items
        if root is None:
            root = Path(os.path.commonpath([os.path.abspath(path.parent) for path in self.paths]))
            items = _items(self.paths, root)
        return replace(self, root=root, items=tuple({item.name: item for item in items}.values()))

    def notes(self, results: Sequence[str] = ()) -> list[str]:
        """Returns a line about the skipped files of each folder.

        Args:
            results: Relative names that are results of this program, which no line mentions; nor hidden files then,
                such as the journal.
        """
        own = set(results)
        shown = [
            replace(
                listing,
                others=tuple(name for name in listing.others if name not in own),
                hidden=0 if own else listing.hidden,
            )
            for listing in self.skipped
        ]
        return [f"{ignored} in {listing.folder}" for listing in shown if (ignored := listing.ignored_files())]


def select(paths: Sequence[Path], recursive: bool = True) -> Selection:
    """Lists the images at paths.

    Args:
        paths: Images and folders.
        recursive: Look into the folders of folders.

    Raises:
        CapsmithError: There is no image at all: the first reason.
    """
    images: list[Path] = []
    failed: list[CapsmithError] = []
    skipped: list[ImageListing] = []
    for path in paths:
        if not path.is_dir():
            images.append(path)
            continue
        try:
            listing = list_images(path, recursive)
        except DataError as error:
            failed.append(error)
            continue
        if not listing.images:
            failed.append(listing.none_found())
            continue
        images += [path / image for image in listing.images]
        failed += [CapsmithError(folder) for folder in listing.unreadable]
        skipped.append(listing)
    if not images:
        raise failed[0]
    root = _root(paths)
    return Selection(_items(images, root), root, tuple(failed), tuple(skipped))


def _root(paths: Sequence[Path]) -> Path | None:
    if len(paths) == 1 and paths[0].is_dir():
        return paths[0]
    parents = {os.path.abspath(path.parent): path.parent for path in paths}
    return next(iter(parents.values())) if len(parents) == 1 and not any(path.is_dir() for path in paths) else None


def _items(images: Sequence[Path], root: Path | None) -> tuple[Item, ...]:
    if root is None:
        return tuple(Item(path, str(path)) for path in images)
    start = os.path.abspath(root)
    return tuple(Item(path, os.path.relpath(os.path.abspath(path), start)) for path in images)
