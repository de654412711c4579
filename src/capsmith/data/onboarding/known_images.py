"""The images below a folder, found by names that differ from the files' in case, folders or encoding."""

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from capsmith.data.image_folder import ImageFolder
from capsmith.data.image_names import plain

_LONGEST = 2000  # characters of a name
_SAME = 50  # images of one name in several folders that are looked at


class KnownImages:
    """The images below a folder by the last part of their names.

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
        return bool(isinstance(value, str) and self.called(value))

    def called(self, name: str) -> list[str]:
        """Returns the images that have a name, with its ending or without one, in whatever folders."""
        last = plain(name) if len(name) < _LONGEST else ""
        return self.names.get(last) or self.stems.get(last) or []

    def _ending(self, name: str) -> bool:
        """Returns whether the ending of an image is in its name, or evident."""
        last = plain(name) if len(name) < _LONGEST else ""
        return last in self.names or len({PurePosixPath(path).suffix for path in self.stems.get(last, ())}) == 1

    def base(self, names: Iterable[str]) -> tuple[Path, int]:
        """Returns the folder below which most of these names are images, whatever is in front of their last parts.

        Args:
            names: As captions have them.

        Returns:
            The folder below that of the images, and how many names are images there.
        """
        counts: Counter[str] = Counter()
        for name in names:
            given = name.replace("\\", "/").split("/")
            paths = self.called(name) if self._ending(name) else []
            shared = {path: _shared(PurePosixPath(path).parts, given) for path in paths[:_SAME]}
            most = max(shared.values(), default=0)
            counts.update({"/".join(PurePosixPath(path).parts[:-n]) for path, n in shared.items() if n == most})
        best, found = max(counts.items(), key=lambda item: (item[1], -len(item[0])), default=("", 0))
        return self.images.on_disk(best or "."), found


def _shared(path: Sequence[str], given: Sequence[str]) -> int:
    """Returns how many last parts of two paths are the same; the last of all is known to be."""
    pairs = zip(reversed(path[:-1]), reversed(given[:-1]), strict=False)
    return 1 + sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
