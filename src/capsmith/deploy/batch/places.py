"""Folders that may be remote: local paths, ``s3://bucket/folder``, and what pyarrow or fsspec can open besides.

Credentials and the endpoint of S3 come from the usual environment variables: ``AWS_ACCESS_KEY_ID``,
``AWS_SECRET_ACCESS_KEY``, ``AWS_REGION``, ``AWS_ENDPOINT_URL``.
"""

import os
import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from capsmith.core.errors import DataError, MissingExtraError, one_line
from capsmith.core.files import atomic

_URI = re.compile(r"([a-z][a-z0-9+.-]+)://")
_LONGEST = 200  # characters of a remote store's message
_HINTS = {
    "NETWORK_CONNECTION": "does AWS_ENDPOINT_URL name the store?",
    "ACCESS_DENIED": "are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY right, and may they do this?",
    "ACCESS_KEY_ID": "is AWS_ACCESS_KEY_ID right?",
    "Signature": "is AWS_SECRET_ACCESS_KEY right?",
}
_S3_TIMES = {"connect_timeout": 3, "request_timeout": 15}  # seconds without an answer, three times


class Entry(NamedTuple):
    """A file of a place.

    Attributes:
        name: Its path relative to the place, with ``/``.
        size: Its size in bytes.
    """

    name: str
    size: int


class Place:
    """A folder, local or remote; it can be sent to other processes.

    Args:
        uri: A path, or an address such as ``s3://bucket/folder``.

    Attributes:
        uri: The same.
        local: The local folder; None for a remote one.

    Raises:
        MissingExtraError: It is remote, and pyarrow or the package for its protocol is not installed.
        DataError: No package opens such an address.
    """

    def __init__(self, uri: str | Path) -> None:
        self.uri = str(uri)
        match = _URI.match(self.uri)
        self.local = Path(self.uri) if match is None else Path(self.uri[7:]) if match[1] == "file" else None
        if self.local is None:
            self._files, self._root = _filesystem(self.uri, match[1] if match else "")

    def __reduce__(self) -> tuple[Any, ...]:
        return Place, (self.uri,)

    def __str__(self) -> str:
        return self.uri

    def __truediv__(self, name: str) -> "Place":
        """Returns a folder below this one."""
        return Place(f"{self.uri.rstrip('/')}/{name}")

    def read(self, name: str) -> bytes:
        """Returns the content of a file.

        Raises:
            DataError: It cannot be read.
        """
        with self.open(name) as file:
            content: bytes = file.read()
        return content

    @contextmanager
    def open(self, name: str) -> Iterator[Any]:
        """Opens a file for random access.

        Raises:
            DataError: It cannot be read.
        """
        with self._explained(name, "read"):
            opened = (self.local / name).open("rb") if self.local else self._files.open_input_file(self._path(name))
            with opened as file:
                yield file

    def write(self, name: str, content: bytes) -> None:
        """Writes a file, which appears when it is complete.

        Raises:
            CapsmithError: It cannot be written.
        """
        if self.local:
            with atomic(self.local / name, "wb") as file:
                file.write(content)
            return
        with self._explained(name, "write"), self._files.open_output_stream(self._path(name)) as stream:
            stream.write(content)

    def remove(self, name: str) -> None:
        """Removes a file, if there is one."""
        with self._explained(name, "remove"):
            try:
                (self.local / name).unlink() if self.local else self._files.delete_file(self._path(name))
            except FileNotFoundError:
                pass

    def exists(self, name: str) -> bool:
        """Returns whether there is a file of this name."""
        if self.local:
            return (self.local / name).is_file()
        with self._explained(name, "read"):
            return bool(self._files.get_file_info(self._path(name)).is_file)

    def is_there(self) -> bool:
        """Returns whether the folder is there, and not empty.

        Raises:
            DataError: It cannot be read.
        """
        with self._explained("", "read"):
            if self.local is None:
                from pyarrow import fs

                return bool(self._files.get_file_info(self._path("")).type != fs.FileType.NotFound)
            try:
                with os.scandir(self.local) as entries:
                    return next(entries, None) is not None
            except FileNotFoundError:
                return False

    def size(self, name: str) -> int:
        """Returns the bytes of a file.

        Raises:
            DataError: It cannot be read.
        """
        with self._explained(name, "read"):
            if self.local:
                return (self.local / name).stat().st_size
            return int(self._files.get_file_info(self._path(name)).size)

    def entries(self, folder: str = "") -> tuple[list[Entry], list[str]]:
        """Returns the files in a folder, and the names of the folders in it, both sorted; nothing if it is missing.

        Raises:
            DataError: It cannot be read.
        """
        with self._explained(folder, "read"):
            return self._local_entries(folder) if self.local else self._remote_entries(folder)

    def walk(self, recursive: bool = True, entries: tuple[list[Entry], list[str]] | None = None) -> Iterator[Entry]:
        """Yields all files at any depth, without hidden ones, in a fixed order; one folder is held at a time.

        Local links to folders are followed after all real folders, as ``data.image_listing`` does; each leads somewhere
        once, so cycles are harmless.

        Args:
            recursive: Look into the folders.
            entries: Those of this folder, if they are known.
        """
        waiting, links = [""], deque[str]()
        visited: set[str] | None = None  # real paths of folders behind links, once all others are done
        while waiting or links:
            if not waiting:
                waiting, visited = [links.popleft()], visited or set()
            folder = waiting.pop()
            if visited is not None and not self._is_new(folder, visited):
                continue
            files, folders = self.entries(folder) if folder or entries is None else entries
            yield from (entry for entry in files if not _hidden(entry.name))
            below = [name for name in folders if recursive and not _hidden(name)]
            behind = {name: self.local is not None and (self.local / name).is_symlink() for name in below}
            links.extend(name for name in below if behind[name])
            waiting += [name for name in reversed(below) if not behind[name]]

    def _is_new(self, folder: str, visited: set[str]) -> bool:
        """Returns whether a folder behind a link is outside of this one, and was not visited; notes the visit."""
        root, real = (os.path.realpath(path) for path in (self.local or "", os.path.join(self.local or "", folder)))
        if real in visited or os.path.commonpath([root, real]) == root:
            return False
        visited.add(real)
        return True

    def _local_entries(self, folder: str) -> tuple[list[Entry], list[str]]:
        assert self.local is not None  # noqa: S101
        files, folders = [], []
        prefix = f"{folder}/" if folder else ""
        try:
            with os.scandir(self.local / folder) as entries:
                for entry in entries:
                    if _is_folder(entry):
                        folders.append(prefix + entry.name)
                    elif (size := _size(entry)) is not None:
                        files.append(Entry(prefix + entry.name, size))
        except FileNotFoundError:
            pass
        return sorted(files), sorted(folders)

    def _remote_entries(self, folder: str) -> tuple[list[Entry], list[str]]:
        from pyarrow import fs

        selector = fs.FileSelector(self._path(folder), allow_not_found=True)
        start = len(self._root.strip("/")) + 1  # some file systems begin paths with a slash, others do not
        files, folders = [], []
        for info in self._files.get_file_info(selector):
            name = info.path.strip("/")[start:]
            if info.is_file and name:
                files.append(Entry(name, info.size))
            elif info.type == fs.FileType.Directory:
                folders.append(name)
        return sorted(files), sorted(folders)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    @contextmanager
    def _explained(self, name: str, verb: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror if self.local and error.strerror else _reason(error)
            where = f"{self.uri.rstrip('/')}/{name}" if name else self.uri
            raise DataError(f"cannot {verb} {where}: {reason}") from error


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False


def _size(entry: "os.DirEntry[str]") -> int | None:
    """Returns the size of a file; None if it is something else, or a link that leads nowhere or in a circle."""
    try:
        return entry.stat().st_size if entry.is_file() else None
    except OSError:
        return None


def _reason(error: OSError) -> str:
    """Returns the reason that a remote store gives, shortened, and what to look at."""
    message = one_line(error)
    hint = next((f"; {hint}" for part, hint in _HINTS.items() if part.casefold() in message.casefold()), "")
    return message[:_LONGEST] + hint


def _hidden(name: str) -> bool:
    return name.rpartition("/")[2].startswith(".")


def _filesystem(uri: str, protocol: str) -> tuple[Any, str]:
    """Returns a pyarrow filesystem, and the path of a folder on it."""
    try:
        from pyarrow import fs
    except ImportError as error:
        raise MissingExtraError("pyarrow", "shards", uri) from error
    root = uri.split("://", 1)[1].rstrip("/")
    if not root or (protocol == "s3" and root.startswith("/")):
        raise DataError(f"{uri}: name a bucket or folder, such as {protocol}://bucket/folder")
    if protocol == "s3":
        return _s3(fs), root
    try:
        import fsspec

        files, root = fsspec.core.url_to_fs(uri)
        return fs.PyFileSystem(fs.FSSpecHandler(files)), root.rstrip("/")
    except ImportError as error:
        raise DataError(f"{uri}: {one_line(error)[:_LONGEST]}") from error
    except ValueError as error:
        raise DataError(f"{uri}: no package opens {protocol}:// ({one_line(error)[:_LONGEST]})") from error


def _s3(fs: Any) -> Any:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    settings: dict[str, Any] = {"region": os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")}
    if endpoint:
        scheme, _, host = endpoint.rpartition("://")
        settings |= {"endpoint_override": host.rstrip("/"), "scheme": scheme or "https"}
        settings["region"] = settings["region"] or "us-east-1"
        # Checksums after the content are stored as a part of it by stores that do not know them
        os.environ.setdefault("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    settings = {name: value for name, value in settings.items() if value}
    with suppress(TypeError):  # it writes a small file by one request; older versions of pyarrow need three
        return fs.S3FileSystem(**settings, **_S3_TIMES, allow_delayed_open=True)
    return fs.S3FileSystem(**settings, **_S3_TIMES)
