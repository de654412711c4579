"""Finds images by names that differ from the file names in case, folders or encoding."""

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from capsmith.data.image_folder import ImageFolder
from capsmith.data.image_names import base_name

_LONGEST_NAME = 2000  # characters
_MAX_CANDIDATES = 50  # images of one name in several folders that are compared


class KnownImages:
    """An index of the images below a folder by the last part of their paths.

    Args:
        images: The images.
    """

    def __init__(self, images: ImageFolder) -> None:
        self.images = images
        self.names: dict[str, list[str]] = {}
        self.stems: dict[str, list[str]] = {}
        for path in sorted(images.paths):
            name = PurePosixPath(path).name.casefold()
            self.names.setdefault(name, []).append(path)
            self.stems.setdefault(PurePosixPath(name).stem, []).append(path)

    def __contains__(self, value: object) -> bool:
        return bool(isinstance(value, str) and self.find(value))

    def find(self, name: str) -> list[str]:
        """Returns the paths of all images with a name, with or without its file extension, in any folder."""
        last = _last_part(name)
        return self.names.get(last) or self.stems.get(last) or []

    def base(self, names: Iterable[str]) -> tuple[Path, int]:
        """Returns the folder in which the most names are images, ignoring leading folders in the names.

        Args:
            names: Image names as captions spell them.

        Returns:
            The folder below the image folder, and the number of names that are images there.
        """
        counts: Counter[str] = Counter()
        for name in names:
            parts = name.replace("\\", "/").split("/")
            paths = self.find(name) if self._has_extension(name) else []
            shared = {path: _shared_parts(PurePosixPath(path).parts, parts) for path in paths[:_MAX_CANDIDATES]}
            most = max(shared.values(), default=0)
            counts.update({"/".join(PurePosixPath(path).parts[:-n]) for path, n in shared.items() if n == most})
        best, matches = max(counts.items(), key=lambda item: (item[1], -len(item[0])), default=("", 0))
        return self.images.on_disk(best or "."), matches

    def _has_extension(self, name: str) -> bool:
        """Returns whether a name includes the file extension, or only one extension is possible."""
        last = _last_part(name)
        return last in self.names or len({PurePosixPath(path).suffix for path in self.stems.get(last, ())}) == 1


def _last_part(name: str) -> str:
    return base_name(name) if len(name) < _LONGEST_NAME else ""


def _shared_parts(path: Sequence[str], name: Sequence[str]) -> int:
    """Returns how many parts at the end of two paths agree; the last parts are known to agree."""
    pairs = zip(reversed(path[:-1]), reversed(name[:-1]), strict=False)
    return 1 + sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
