"""SHA-256 of files and of JSON values."""

import functools
import hashlib
import json
from pathlib import Path
from typing import Any

from capsmith.core.errors import FeatureError
from capsmith.core.readers.regular_files import open_regular


def json_sha256(value: Any) -> str:
    """Returns the SHA-256 of a JSON value as 64 hexadecimal digits. The order of keys does not matter."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """Returns the SHA-256 of a file. Repeated calls read the file again only if it changed.

    Raises:
        FeatureError: The file does not exist or cannot be read.
    """
    try:
        open_regular(path).close()  # reading a pipe or a device would never end
        stat = path.stat()  # st_ctime_ns as well: any program can set st_mtime_ns, and cp -p and rsync do
        return _sha256(path, (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))
    except OSError as error:
        raise FeatureError(f"encoder weights {path}: {error.strerror or error}") from error


@functools.lru_cache(maxsize=64)
def _sha256(path: Path, state: tuple[int, ...]) -> str:
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
