"""A folder of images as a source. It does not read the query: all its images are candidates."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from capsmith.deploy.describe.parts import SourceImage
from capsmith.deploy.folder.selection import select


class FolderSource:
    """The images of a folder, at any depth.

    Args:
        folder: The folder.
        limit: Images to yield at most: the first by name.
    """

    reads_query = False

    def __init__(self, folder: Path, limit: int) -> None:
        self.name, self._folder, self._limit = str(folder), folder, limit

    def images(self, query: str) -> Iterator[SourceImage]:
        """Yields the images, whatever the query is.

        Raises:
            DataError: The folder has no images, or cannot be read.
        """
        for item in islice(select([self._folder]).items, self._limit):
            yield SourceImage(item.path, title=item.name)
