"""Opens the source that a command names."""

from pathlib import Path

from capsmith.core.errors import ConfigError
from capsmith.deploy.describe.parts import Source
from capsmith.deploy.describe.sources.address_list import AddressList
from capsmith.deploy.describe.sources.download_cache import DownloadCache
from capsmith.deploy.describe.sources.folder import FolderSource
from capsmith.deploy.describe.sources.pixabay import Pixabay

PIXABAY = "pixabay"
LIMIT = 30
"""Images of a source that are compared, unless another number is asked for."""
MAX_LIMIT = 200


def open_source(name: str | Path, limit: int = LIMIT) -> Source:
    """Returns a source of images.

    Args:
        name: ``pixabay``, whose key is read from the environment; a folder of images; or a text file with an address
            a line.
        limit: Images to yield at most, 1 to ``MAX_LIMIT``.

    Raises:
        ConfigError: There is no such source, or it is not set up.
        DataError: The file cannot be read.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise ConfigError(f"limit {limit}: a number from 1 to {MAX_LIMIT}")
    if str(name) == PIXABAY:
        return Pixabay.from_environment(limit)
    path = Path(name)
    if path.is_dir():
        return FolderSource(path, limit)
    if path.is_file():
        return AddressList.read(path, limit, DownloadCache.of_user("addresses"))
    raise ConfigError(f"--source {name}: not {PIXABAY}, no folder of images, and no file with addresses")
