"""Bodies of requests: read within limits of size and time, as a form or as JSON. Nothing is written to disk."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from capsmith.core.errors import escaped
from capsmith.deploy.serving.forms import Form
from capsmith.deploy.serving.json_bodies import json_body
from capsmith.deploy.serving.problems import Problem, busy
from capsmith.deploy.serving.request_body import content_length, too_large
from capsmith.deploy.serving.settings import ServeSettings
from capsmith.deploy.serving.uploads import IMAGES, Body, BodyShape

_LARGE = 262_144  # bytes from which a body is parsed by a thread


class ClientGone(Exception):
    """The client closed the connection before it had its answer."""


class UploadMemory:
    """Bytes of all uploads in memory, which are bounded.

    Args:
        limit: Most bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.used = limit, 0

    def take(self, size: int) -> None:
        """Takes memory.

        Raises:
            Problem: 429: there is not enough.
        """
        if self.used + size > self.limit:
            raise busy("too many uploads are in progress; try again in a second", 1)
        self.used += size

    def give_back(self, size: int) -> None:
        """Gives memory back."""
        self.used -= size


class BodyReader:
    """Reads one body: in pieces, and no more than allowed.

    Args:
        scope: The request.
        receive: Receives its body.
        settings: The limits.
        memory: The memory of all uploads. ``release`` gives back what this body took.
        shape: What it may hold.
    """

    def __init__(
        self, scope: Any, receive: Any, settings: ServeSettings, memory: UploadMemory, shape: BodyShape = IMAGES
    ) -> None:
        self._receive, self._settings, self._memory, self._shape = receive, settings, memory, shape
        self._headers = dict(scope["headers"])
        self._taken = 0

    def release(self) -> None:
        """Gives the memory of the body back."""
        self._memory.give_back(self._taken)
        self._taken = 0

    async def read(self) -> Body:
        """Returns the body.

        Raises:
            Problem: 400, 411, 413, 415, 422 or 429; ``receive`` raises 408 and 413 too.
            ClientGone: The client closed the connection.
        """
        kind, parameters = parse_options_header(self._headers.get(b"content-type"))
        if kind not in (b"multipart/form-data", b"application/json"):
            shown = escaped(kind.decode("latin-1"))[:80] or "without a Content-Type"
            raise Problem(415, f"send multipart/form-data or application/json, not {shown}")
        if b"content-length" not in self._headers and b"transfer-encoding" not in self._headers:
            raise Problem(411, "send a body, with its Content-Length")
        if kind == b"application/json":
            return await self._json(parameters)
        return await self._form(parameters)

    async def _pieces(self) -> AsyncIterator[bytes]:
        """Yields the body in pieces, as long as there is memory for it."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            piece = message.get("body", b"")
            self._memory.take(len(piece))
            self._taken += len(piece)
            if piece:
                yield piece
            more = message.get("more_body", False)

    async def _form(self, parameters: Mapping[bytes, bytes]) -> Body:
        boundary = parameters.get(b"boundary", b"")
        charset = parameters.get(b"charset", b"utf-8").lower()
        if not boundary:
            raise Problem(400, "the Content-Type has no boundary: let your client set it, as curl -F does")
        if charset not in (b"utf-8", b"utf8", b"us-ascii"):
            raise Problem(415, "write form fields in UTF-8")
        form = Form(self._settings, self._shape)
        limit = self._settings.max_upload
        if content_length(self._headers) > limit:
            raise too_large(limit)
        try:
            parser = form.parser(boundary)
            async for piece in self._pieces():
                if self._taken > limit:
                    raise too_large(limit)
                parser.write(piece)
            parser.finalize()
        except FormParserError as error:
            raise Problem(400, "the body is not a valid multipart form") from error
        if not form.complete:
            raise Problem(400, "the multipart form is not complete: its last boundary is missing")
        return form.body

    async def _json(self, parameters: Mapping[bytes, bytes]) -> Body:
        if parameters.get(b"charset", b"utf-8").lower() not in (b"utf-8", b"utf8"):
            raise Problem(415, "write JSON in UTF-8")
        raw = bytearray()
        async for piece in self._pieces():
            raw += piece
        if len(raw) < _LARGE:
            return json_body(bytes(raw), self._settings, self._shape)
        return await asyncio.to_thread(json_body, bytes(raw), self._settings, self._shape)
