"""What a request still has to send: bounded in bytes and in seconds, whoever reads it."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from capsmith.deploy.serving.problems import Problem
from capsmith.deploy.serving.settings import ServeSettings

_LINGER = 2.0  # seconds in which a refused body may still arrive
_MARGIN = 65_536  # bytes of a JSON body besides its images


def largest_body(settings: ServeSettings) -> int:
    """Returns the most bytes of any body: base64 takes a third more than the images themselves."""
    return settings.max_upload * 4 // 3 + _MARGIN


def content_length(headers: Mapping[bytes, bytes]) -> int:
    """Returns the length that a request states; 0 if it states none."""
    stated = headers.get(b"content-length", b"")
    return int(stated) if stated.isdigit() and len(stated) < 20 else 0


def too_large(limit: int) -> Problem:
    """Returns the problem of a body that is too large."""
    return Problem(413, f"the body has more than {limit:,} bytes, the most that this service accepts")


class RequestBody:
    """Receives a body, as the ``receive`` of an ASGI application.

    Attributes:
        complete: Nothing of it is missing.
        gone: The client closed the connection.
        problem: Why it is not read further; None if it is.

    Args:
        receive: The server's ``receive``.
        headers: The headers of the request.
        settings: The limits.
    """

    def __init__(self, receive: Any, headers: dict[bytes, bytes], settings: ServeSettings) -> None:
        self._receive, self._headers, self._settings = receive, headers, settings
        self._limit, self._size = largest_body(settings), 0
        self._deadline = 0.0
        self.complete = b"content-length" not in headers and b"transfer-encoding" not in headers
        self.gone = False
        self.problem: Problem | None = None
        if not self.complete and content_length(headers) > self._limit:
            self.problem = too_large(self._limit)

    async def __call__(self) -> Any:
        """Returns the next message of the server.

        Raises:
            Problem: 408 or 413.
        """
        if self.problem is not None:
            raise self.problem
        if self.complete:
            message = await self._receive()
        else:
            message = await self._next_in_time()
        if message["type"] == "http.disconnect":
            self.complete = self.gone = True
            return message
        self.complete = not message.get("more_body", False)
        self._size += len(message.get("body", b""))
        if self._size > self._limit:
            self.problem = too_large(self._limit)
            raise self.problem
        return message

    async def _next_in_time(self) -> Any:
        now = time.monotonic()
        self._deadline = self._deadline or now + self._settings.body_timeout
        try:
            async with asyncio.timeout(self._deadline - now):
                return await self._receive()
        except TimeoutError as error:
            seconds = f"{self._settings.body_timeout:g} seconds"
            self.problem = Problem(408, f"the body did not arrive within {seconds}")
            raise self.problem from error

    async def drain(self) -> None:
        """Reads what was refused, for a moment: a client that still sends would otherwise not see its answer."""
        if b"expect" in self._headers and not self._size:
            return  # the client waits for our answer before it sends anything
        left = 4 * self._limit
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER):
                while not self.complete and left > 0:
                    message = await self._receive()
                    left -= len(message.get("body", b""))
                    self.complete = not message.get("more_body", False)
