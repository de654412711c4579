"""The images below a folder, and the subfolder to which image names are relative."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from capsmith.core.errors import DataError
from capsmith.data.image_listing import endings, list_images
from capsmith.data.record_builder import IMAGES, safe_id


class ImageFolder:
    """The images below a folder by their relative paths.

    Attributes:
        folder: The folder.
        listing: Its contents.
        paths: Relative paths of the images in Unicode form NFC, as captions name them.

    Raises:
        DataError: The folder does not exist, is a file, cannot be read, or has no images.
    """

    def __init__(self, folder: Path) -> None:
        if folder.is_file():
            if folder.suffix.lower() in IMAGES:
                raise DataError(f"{folder} is an image: pass the folder that contains it")
            raise DataError(f"{folder} is a file: pass the image folder, and the file with --captions {folder}")
        self.folder = folder
        self.listing = list_images(folder)
        self._on_disk: dict[PurePosixPath, str] = {PurePosixPath("."): "."}
        self.paths = frozenset(self._image_paths())
        if not self.paths:
            raise DataError(f"{folder} and its readable subfolders have no images ({endings()})")
        counts = Counter(_stem(path) for path in self.paths)
        self._stems = frozenset(stem for stem, count in counts.items() if count == 1)

    def base(self, names: Iterable[str], stems: bool = False, near: Path | None = None) -> tuple[Path, int]:
        """Returns the subfolder, spelled as on disk, in which the most names are images, and the number of matches.

        Args:
            names: Image names as captions spell them.
            stems: Also accept names without a file extension, if exactly one image matches.
            near: The subfolder to prefer among those with equally many matches.
        """
        known = self.paths | self._stems if stems else self.paths
        ids = [name for name in map(safe_id, names) if name]
        places = sorted(self._on_disk, key=lambda place: (len(place.parts), place))
        counted = [(place, sum((place / name).as_posix() in known for name in ids)) for place in places]
        preferred = None if near is None else PurePosixPath(unicodedata.normalize("NFC", near.as_posix()))
        best, matches = max(counted, key=lambda item: (item[1], item[0] == preferred))
        return Path(self._on_disk[best]), matches

    def on_disk(self, place: str) -> Path:
        """Returns a subfolder with images, spelled as on disk, given its path in Unicode form NFC."""
        return Path(self._on_disk[PurePosixPath(place)])

    def below(self, path: Path) -> Path:
        """Returns a path as written in configs: relative if it is below the folder, else absolute."""
        full, root = Path(os.path.realpath(path)), Path(os.path.realpath(self.folder))
        return full.relative_to(root) if full.is_relative_to(root) else full

    def _image_paths(self) -> Iterator[str]:
        for image in self.listing.images:
            path = Path(image)
            image_id = safe_id(path.as_posix())
            if image_id is not None:
                self._add_folders(path.parent)
                yield image_id

    def _add_folders(self, below: Path) -> None:
        """Adds a folder with images, and its parents."""
        for place in (below, *below.parents):
            self._on_disk.setdefault(PurePosixPath(unicodedata.normalize("NFC", place.as_posix())), place.as_posix())


def _stem(path: str) -> str:
    return PurePosixPath(path).with_suffix("").as_posix()
