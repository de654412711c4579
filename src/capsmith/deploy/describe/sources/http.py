"""HTTP requests with limits: time, size, redirects, repetitions. The address of a request never gets into an error."""

import importlib.metadata
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
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
    _require_address(url)
    agent = f"capsmith/{importlib.metadata.version('capsmith')}"
    request = urllib.request.Request(url, headers={"User-Agent": agent})  # noqa: S310 (checked)
    opener = urllib.request.build_opener(_Redirects(redirects))
    try:
        with opener.open(request, timeout=_TIMEOUT) as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answer(_body(response, limit, headers), headers)
    except urllib.error.HTTPError as error:
        with error:
            raise HttpError(_stated(error), error.code, _patience(error.headers)) from None
    except urllib.error.URLError as error:
        raise HttpError(_reason(error.reason)) from None
    except (OSError, HTTPException, ValueError) as error:
        raise HttpError(_reason(error)) from None


def _body(response: Any, limit: int, headers: Mapping[str, str]) -> bytes:
    deadline = time.monotonic() + _DEADLINE
    parts: list[bytes] = []
    size = 0
    while part := response.read1(_CHUNK):
        size += len(part)
        if size > limit:
            raise HttpError(f"the answer has more than {limit:,} bytes", 413)
        if time.monotonic() > deadline:
            raise HttpError(f"the answer took longer than {_DEADLINE:g} s")
        parts.append(part)
    stated = headers.get("content-length", "")
    if stated.isdigit() and int(stated) != size:
        raise HttpError(f"the answer broke off after {size:,} of {int(stated):,} bytes")
    return b"".join(parts)


def _require_address(url: str) -> None:
    try:
        parts = urllib.parse.urlsplit(url)
        fits = parts.scheme in SCHEMES and bool(parts.hostname)
    except ValueError:
        fits = False
    if not fits:
        raise HttpError("not an address of http or https", 400)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a few redirects, to http and https only, or none."""

    max_redirections = 5

    def __init__(self, follow: bool) -> None:
        self._follow = follow

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """Returns the next request, or refuses it."""
        if not self._follow:
            raise HttpError("the server redirects elsewhere", code)
        _require_address(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _stated(error: urllib.error.HTTPError) -> str:
    """Returns the status of an answer, and the reason in its body if that is text."""
    reason = ""
    if (error.headers.get_content_type() if error.headers else "") == "text/plain":
        try:
            reason = error.read(_REASON).decode("utf-8", "replace")
        except (OSError, HTTPException):
            reason = ""
    return f"HTTP status {error.code}" + (f": {escaped(' '.join(reason.split()))}" if reason.strip() else "")


def _patience(headers: Any) -> float | None:
    for name in ("Retry-After", "X-RateLimit-Reset"):
        value = (headers.get(name) or "").strip() if headers else ""
        if value.isdigit():
            return float(value)
    return None


def _reason(error: Any) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {_TIMEOUT:g} s"
    if isinstance(error, OSError) and error.strerror:
        return escaped(error.strerror)
    return escaped(one_line(error)[:_REASON]) if isinstance(error, OSError) else type(error).__name__
