"""The images below a folder."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from capsmith.core.errors import DataError
from capsmith.data.image_listing import USUAL_ENDINGS, list_images
from capsmith.data.record_builder import IMAGES, safe_id


class ImageFolder:
    """The images below a folder, by their path below it.

    Attributes:
        folder: The folder.
        listing: What is below it.
        paths: In Unicode's form NFC, as captions name them.

    Raises:
        DataError: No such folder, a file, a folder that may not be read, or no images.
    """

    def __init__(self, folder: Path) -> None:
        if folder.is_file():
            if folder.suffix.lower() in IMAGES:
                raise DataError(f"{folder} is an image: give the folder that it lies in")
            raise DataError(f"{folder} is a file: give the folder with the images, and the file as --captions {folder}")
        self.folder = folder
        self.listing = list_images(folder)
        self._place: dict[PurePosixPath, str] = {PurePosixPath("."): "."}
        self.paths = frozenset(self._below())
        if not self.paths:
            some = ", ".join([*USUAL_ENDINGS, *sorted(IMAGES - set(USUAL_ENDINGS))])
            raise DataError(f"{folder} has no images ({some}), nor have the folders in it that can be read")
        counts = Counter(_stem(path) for path in self.paths)
        self._stems = frozenset(stem for stem, count in counts.items() if count == 1)

    @property
    def endings(self) -> tuple[str, ...]:
        """Endings of images' names."""
        return tuple(IMAGES)

    def base(self, names: Iterable[str], stems: bool = False, near: Path | None = None) -> tuple[Path, int]:
        """Returns the folder below which most of these names are images, as it is on the disk, and how many are.

        Args:
            names: As captions have them.
            stems: Take names without an ending too, where only one image can be meant.
            near: Below the folder of images: of several places that do as well, this one is meant.
        """
        known = self.paths | self._stems if stems else self.paths
        ids = [name for name in map(safe_id, names) if name]
        places = sorted(self._place, key=lambda place: (len(place.parts), place))
        counted = [(place, sum((place / name).as_posix() in known for name in ids)) for place in places]
        meant = None if near is None else PurePosixPath(unicodedata.normalize("NFC", near.as_posix()))
        best, found = max(counted, key=lambda item: (item[1], item[0] == meant))
        return Path(self._place[best]), found

    def on_disk(self, place: str) -> Path:
        """Returns a folder that holds images as it is called on the disk, by its path in Unicode's form NFC."""
        return Path(self._place[PurePosixPath(place)])

    def below(self, path: Path) -> Path:
        """Returns a path as a config has it: below the root where it is there, else absolute."""
        full, root = Path(os.path.realpath(path)), Path(os.path.realpath(self.folder))
        return full.relative_to(root) if full.is_relative_to(root) else full

    def _below(self) -> Iterator[str]:
        for image in self.listing.images:
            path = Path(image)
            known = safe_id(path.as_posix())
            if known is not None:
                self._keep(path.parent)
                yield known

    def _keep(self, below: Path) -> None:
        """Notes a folder that holds images, and those above it."""
        for place in (below, *below.parents):
            self._place.setdefault(PurePosixPath(unicodedata.normalize("NFC", place.as_posix())), place.as_posix())


def _stem(path: str) -> str:
    return PurePosixPath(path).with_suffix("").as_posix()
