"""Files of the pages: package data, each found by its name in a list, with an ETag, compressed where that helps."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from capsmith.deploy.serving.problems import Problem

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
"""Types of files by their endings; other files are not served."""
_COMPRESSED = (".html", ".css", ".js", ".mjs", ".json", ".svg", ".txt", ".webmanifest")
_SMALL = 1024  # bytes that are not worth compressing


@dataclass(frozen=True)
class StaticFile:
    """The content of a file.

    Attributes:
        body: Its bytes.
        ending: The ending of its name.
    """

    body: bytes
    ending: str

    @cached_property
    def etag(self) -> str:
        """Changes with the content."""
        return f'"{hashlib.sha256(self.body).hexdigest()[:20]}"'

    @cached_property
    def compressed(self) -> bytes | None:
        """The bytes as gzip; None if that does not help."""
        if self.ending not in _COMPRESSED or len(self.body) < _SMALL:
            return None
        return gzip.compress(self.body, 6, mtime=0)


class StaticFiles:
    """Serves the files of some folders.

    Args:
        folders: Each folder by the beginning of its files' names, such as ``swagger``; ``""`` for the names themselves.
            A single file is also possible, by its name.
        texts: Content that is no file, by its name.
    """

    def __init__(self, folders: Mapping[str, Path], texts: Mapping[str, str] | None = None) -> None:
        self._texts = {name: StaticFile(text.encode(), Path(name).suffix) for name, text in (texts or {}).items()}
        self._paths: dict[str, Path] = {}
        for start, place in folders.items():
            if place.is_file():
                self._paths[start] = place
            for path in sorted(place.rglob("*")) if place.is_dir() else ():
                if path.suffix in _TYPES and path.is_file():
                    name = path.relative_to(place).as_posix()
                    self._paths[f"{start}/{name}" if start else name] = path
        self._read: dict[str, tuple[int, StaticFile]] = {}

    def answer(self, request: Request, name: str, headers: Mapping[str, str] | None = None) -> Response:
        """Returns a file as an answer, or 304 if the client has it.

        Args:
            request: The request.
            name: Name of the file.
            headers: Further headers.

        Raises:
            Problem: 404.
        """
        file = self._file(name)
        if file is None:
            raise Problem(404, "there is no such file")
        own = {"etag": file.etag, "cache-control": "no-cache", "vary": "accept-encoding", **(headers or {})}
        if file.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=own)
        body = file.body
        if file.compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            body, own["content-encoding"] = file.compressed, "gzip"
        return Response(body, headers=own, media_type=_TYPES[file.ending])

    def __contains__(self, name: str) -> bool:
        return name in self._paths or name in self._texts

    def _file(self, name: str) -> StaticFile | None:
        """Returns a file, read again if it was changed."""
        if (path := self._paths.get(name)) is None:
            return self._texts.get(name)
        changed = path.stat().st_mtime_ns
        known = self._read.get(name)
        if known is None or known[0] != changed:
            known = self._read[name] = (changed, StaticFile(path.read_bytes(), path.suffix))
        return known[1]
