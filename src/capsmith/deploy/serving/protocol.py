"""HTTP/1.1 connections with limits: uvicorn's protocol, in which a slow or broken client cannot hold one for ever."""

import asyncio
import json
import sys
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from capsmith.deploy.serving.problems import MEDIA_TYPE, TITLES
from capsmith.deploy.serving.settings import ServeSettings

_LINGER = 1.0  # seconds in which a refused client may still send, so that it reads the answer before a reset


class LimitedProtocol(H11Protocol):
    """One connection. ``limited`` binds the limits.

    The time of a body is limited by the application, which reads it; that of a request's head and of reading an answer
    is limited here.
    """

    limits: ServeSettings = ServeSettings()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accepts a connection, or refuses it if there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.max_connections:
            self._refuse(503, "too many connections; try again later", b"retry-after: 1\r\n")
        else:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends all timers."""
        self._stop(self._head_timer)
        self._stop(self._write_timer)
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        """Reads a part of a request; the time of its head begins with the first byte."""
        if self._refused:
            return
        super().data_received(data)
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            if self.conn.our_state is h11.IDLE and self.timeout_keep_alive_task is None:
                self._expect_head()
        else:
            self._stop(self._head_timer)
            self._head_timer = None

    def send_400_response(self, msg: str) -> None:
        """Refuses what is not HTTP; called while the parser's error is handled."""
        error = sys.exc_info()[1]
        if getattr(error, "error_status_hint", 400) == 431:
            limit = f"{self.limits.max_header:,}"
            self._refuse(431, f"the request line and the headers have more than {limit} bytes")
        else:
            self._refuse(400, "this is not a valid HTTP request")

    def pause_writing(self) -> None:
        """Gives a client that does not read its answer a limited time."""
        super().pause_writing()
        self._stop(self._write_timer)
        self._write_timer = self.loop.call_later(self.limits.body_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        """Ends this time."""
        self._stop(self._write_timer)
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Closes a connection without requests, also if the client has not read its last answer."""
        super().timeout_keep_alive_handler()
        self.loop.call_later(_LINGER, self.transport.abort)

    def _expect_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.limits.header_timeout, self._head_too_late)

    def _head_too_late(self) -> None:
        self._head_timer = None
        if self.conn.their_state is h11.IDLE:
            self._refuse(408, f"the headers did not arrive within {self.limits.header_timeout:g} seconds")

    def _refuse(self, status: int, detail: str, more: bytes = b"") -> None:
        """Answers without the application, and closes."""
        if self.transport.is_closing() or self._refused:
            return
        self._refused = True
        if self.cycle is not None and not self.cycle.response_complete:  # the answer of another request is under way
            self.transport.close()
            return
        self._unset_keepalive_if_required()
        content = {"type": "about:blank", "title": TITLES[status], "status": status, "detail": detail}
        body = json.dumps(content).encode()
        head = f"HTTP/1.1 {status} {TITLES[status]}\r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
        safe = b"x-content-type-options: nosniff\r\nconnection: close\r\n"
        self.transport.write(head.encode() + more + safe + b"\r\n" + body)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(_LINGER, self.transport.abort)

    def _stop(self, timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()


def limited(settings: ServeSettings) -> type[LimitedProtocol]:
    """Returns the protocol with the limits of a service."""
    return type("LimitedProtocol", (LimitedProtocol,), {"limits": settings})
