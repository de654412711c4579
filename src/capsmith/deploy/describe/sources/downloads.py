"""Downloads images with a few threads, in order. What cannot be had is skipped, with a line in the log."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from capsmith.core.errors import CapsmithError, escaped, one_line
from capsmith.core.log import get_logger
from capsmith.core.progress import track
from capsmith.deploy.describe.parts import SourceImage
from capsmith.deploy.describe.sources.download_cache import DownloadCache
from capsmith.deploy.describe.sources.http import get
from capsmith.vision.image_files import open_image

LIMIT = 20_000_000
"""Bytes of an image."""
_THREADS = 4
_log = get_logger(__name__)


@dataclass(frozen=True)
class Download:
    """An image to download.

    Attributes:
        url: Its address.
        key: What it is kept by.
        name: What it is called in messages: never an address with a key.
        title: As in ``SourceImage``.
        page: As in ``SourceImage``.
        credit: As in ``SourceImage``.
    """

    url: str
    key: str
    name: str
    title: str = ""
    page: str = ""
    credit: str = ""


def download_images(downloads: Sequence[Download], cache: DownloadCache) -> Iterator[SourceImage]:
    """Yields the images, in order.

    Raises:
        CapsmithError: None can be had: the first reason.
    """
    first: CapsmithError | None = None
    found: set[Path] = set()
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="download") as pool:
        results = [pool.submit(_downloaded, one, cache) for one in downloads]
        try:
            for result in track(results, desc="download", unit="image"):
                image = result.result()
                if isinstance(image, CapsmithError):
                    first = first or image
                    _log.warning(str(image))
                else:
                    found.add(image.path)
                    yield image
        finally:
            for result in results:
                result.cancel()
    cache.trim(found)
    if first is not None and not found:
        raise first


def _downloaded(one: Download, cache: DownloadCache) -> SourceImage | CapsmithError:
    name = escaped(one.name)

    def download() -> bytes:
        data = get(one.url, LIMIT).body
        open_image(data, name).close()  # an error page, a movie or nothing at all is not kept
        return data

    try:
        path = cache.file(one.key, download)
    except CapsmithError as error:
        reason = one_line(error)
        return type(error)(reason) if reason.startswith(name) else CapsmithError(f"{name}: {reason}")
    return SourceImage(path, one.title, one.page, one.credit)
