"""A list of addresses as a source. It does not read the query: all its images are candidates."""

from collections.abc import Iterator
from pathlib import Path

from capsmith.core.errors import DataError, escaped
from capsmith.core.readers.text_files import read_text
from capsmith.deploy.describe.parts import SourceImage
from capsmith.deploy.describe.sources.download_cache import DownloadCache
from capsmith.deploy.describe.sources.downloads import Download, download_images
from capsmith.deploy.describe.sources.http import SCHEMES


class AddressList:
    """The images of a list of addresses.

    Args:
        name: The list for people.
        addresses: The addresses, each with a title or an empty one.
        cache: Keeps the images.
    """

    reads_query = False

    def __init__(self, name: str, addresses: list[tuple[str, str]], cache: DownloadCache) -> None:
        self.name, self._addresses, self._cache = name, addresses, cache

    @classmethod
    def read(cls, path: Path, limit: int, cache: DownloadCache) -> "AddressList":
        """Reads a text file with an address a line, which a title may follow after a tab. ``#`` begins a comment line.

        Args:
            path: The file.
            limit: Addresses to use at most: the first ones.
            cache: Keeps the images.

        Raises:
            DataError: The file cannot be read, has no address, or a line that is none.
        """
        addresses: list[tuple[str, str]] = []
        for number, line in enumerate(read_text(path).splitlines(), 1):
            address, _, title = line.strip().partition("\t")
            if not address or address.startswith("#"):
                continue
            if address.partition("://")[0].lower() not in SCHEMES or "://" not in address:
                raise DataError(f"{path}, line {number}: {escaped(address)[:80]!r} is not an address of http or https")
            addresses.append((address, title.strip()))
        if not addresses:
            raise DataError(f"{path} has no address: write one a line, such as https://example.org/photo.jpg")
        return cls(str(path), addresses[:limit], cache)

    def images(self, query: str) -> Iterator[SourceImage]:
        """Yields the images, whatever the query is.

        Raises:
            CapsmithError: None can be had: the first reason.
        """
        downloads = [
            Download(address, address, without_query(address), title or without_query(address), address)
            for address, title in self._addresses
        ]
        yield from download_images(downloads, self._cache)


def without_query(address: str) -> str:
    """Returns an address without user, password, query and fragment, which may hold secrets."""
    start, _, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    path = path.partition("?")[0].partition("#")[0]
    return f"{start}://{host.rpartition('@')[2].partition('?')[0].partition('#')[0]}{slash}{path}"
