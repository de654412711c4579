"""HTTP requests with limits: time, size, redirects, repetitions. The address of a request never gets into an error."""

import importlib.metadata
import socket
import string
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any

from capsmith.core.errors import CapsmithError, escaped, one_line

SCHEMES = ("http", "https")
TRIES = 3
WAIT = 60.0
"""Seconds to wait for a server that asks for patience; longer waits are errors."""
_PAUSE = 0.5  # seconds before the second try; doubled for each further one
_TIMEOUT, _DEADLINE = 10.0, 30.0  # seconds without any byte, and for a whole answer
_CHUNK = 65536
_REASON = 200  # characters of a server's reason
_AGAIN = (408, 429, 500, 502, 503, 504)


class HttpError(CapsmithError):
    """A request failed.

    Args:
        reason: Why, without the address.
        status: The status of the answer; 0 if there was none.
        wait: Seconds after which the server expects another try; None if it does not say.
    """

    def __init__(self, reason: str, status: int = 0, wait: float | None = None) -> None:
        super().__init__(reason)
        self.status, self.wait = status, wait

    @property
    def may_pass(self) -> bool:
        """Whether another try may succeed."""
        return self.status == 0 or self.status in _AGAIN


@dataclass(frozen=True)
class Answer:
    """A server's answer.

    Attributes:
        body: Its content.
        headers: Its headers, by names in lower case.
    """

    body: bytes
    headers: Mapping[str, str]


def get(url: str, limit: int, redirects: bool = True, sleep: Callable[[float], Any] = time.sleep) -> Answer:
    """Fetches an address; failures that may pass are tried again.

    Args:
        url: An address of http or https.
        limit: Bytes of the answer at most.
        redirects: Follow redirects.
        sleep: Waits.

    Raises:
        HttpError: It failed, or the answer is too large.
    """
    for left in reversed(range(TRIES)):
        try:
            return _get(url, limit, redirects)
        except HttpError as error:
            wait = _PAUSE * 2 ** (TRIES - 1 - left) if error.wait is None else error.wait
            if not left or not error.may_pass or wait > WAIT:
                raise
            sleep(wait)
    raise AssertionError("unreachable")


def _get(url: str, limit: int, redirects: bool) -> Answer:
    url = _address(url)
    agent = f"capsmith/{importlib.metadata.version('capsmith')}"
    request = urllib.request.Request(url, headers={"User-Agent": agent})  # noqa: S310 (checked)
    watch = _Watch()
    opener = urllib.request.build_opener(_Redirects(redirects), _Http(watch), _Https(watch))
    try:
        with opener.open(request, timeout=_TIMEOUT) as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            body = _body(response, limit, headers)
            watch.require_time()
            return Answer(body, headers)
    except urllib.error.HTTPError as error:
        with error:
            raise HttpError(_stated(error), error.code, _patience(error.headers)) from None
    except urllib.error.URLError as error:
        watch.require_time()
        raise HttpError(_reason(error.reason)) from None
    except (OSError, HTTPException, ValueError) as error:
        watch.require_time()
        raise HttpError(_reason(error)) from None
    finally:
        watch.end()


def _body(response: Any, limit: int, headers: Mapping[str, str]) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := response.read1(_CHUNK):
        size += len(part)
        if size > limit:
            raise HttpError(f"the answer has more than {limit:,} bytes", 413)
        parts.append(part)
    stated = headers.get("content-length", "")
    if stated.isdecimal() and int(stated) != size:
        raise HttpError(f"the answer broke off after {size:,} of {int(stated):,} bytes")
    return b"".join(parts)


def _address(url: str) -> str:
    """Returns an address in ASCII.

    Raises:
        HttpError: It is none of http or https.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme in SCHEMES and parts.hostname:
            host = parts.netloc if parts.netloc.isascii() else parts.netloc.encode("idna").decode()
            return urllib.parse.quote(parts._replace(netloc=host).geturl(), safe=string.punctuation)
    except ValueError:
        pass
    raise HttpError("not an address of http or https", 400)


class _Watch:
    """Ends the connections of a request after ``_DEADLINE``: a byte now and then would keep them for ever."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []
        self._late = threading.Event()
        self._timer = threading.Timer(_DEADLINE, self._stop)
        self._timer.daemon = True
        self._timer.start()

    def connection(self, kind: Any) -> Any:
        """Returns a kind of connections that are watched."""
        sockets = self._sockets

        class Watched(kind):
            def connect(self) -> None:
                super().connect()
                sockets.append(self.sock)

        return Watched

    def require_time(self) -> None:
        """Raises HttpError: the time is over, and what was read may be incomplete."""
        if self._late.is_set():
            raise HttpError(f"the answer took longer than {_DEADLINE:g} s") from None

    def end(self) -> None:
        """Watches no longer."""
        self._timer.cancel()

    def _stop(self) -> None:
        self._late.set()
        for one in list(self._sockets):
            with suppress(OSError):
                socket.socket.shutdown(one, socket.SHUT_RDWR)  # below TLS, which another thread is reading


class _Http(urllib.request.HTTPHandler):
    def __init__(self, watch: _Watch) -> None:
        super().__init__()
        self._watch = watch

    def http_open(self, req: Any) -> Any:
        return self.do_open(self._watch.connection(HTTPConnection), req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, watch: _Watch) -> None:
        super().__init__()
        self._watch = watch

    def https_open(self, req: Any) -> Any:
        return self.do_open(self._watch.connection(HTTPSConnection), req)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a few redirects, to http and https only, or none."""

    max_redirections = 5

    def __init__(self, follow: bool) -> None:
        self._follow = follow

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """Returns the next request, or refuses it."""
        if not self._follow:
            raise HttpError("the server redirects elsewhere", code)
        _address(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _stated(error: urllib.error.HTTPError) -> str:
    """Returns the status of an answer, and the reason in its body if that is text."""
    reason = ""
    if (error.headers.get_content_type() if error.headers else "") == "text/plain":
        try:
            read = error.read(_REASON + 1)
        except (OSError, HTTPException, ValueError):
            read = b""
        words = read.decode("utf-8", "replace").split()
        reason = escaped(" ".join(words[:-1] if len(read) > _REASON else words))  # half a key would not be recognized
    return f"HTTP status {error.code}" + (f": {reason}" if reason else "")


def _patience(headers: Any) -> float | None:
    for name in ("Retry-After", "X-RateLimit-Reset"):
        value = (headers.get(name) or "").strip() if headers else ""
        if value.isdecimal():
            return float(value)
    return None


def _reason(error: Any) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {_TIMEOUT:g} s"
    if isinstance(error, OSError) and error.strerror:
        return escaped(error.strerror)
    return escaped(one_line(error)[:_REASON]) if isinstance(error, OSError) else type(error).__name__
