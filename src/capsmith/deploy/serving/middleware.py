"""What every request passes: who may ask, how long and how large, and what every answer carries."""

import ipaddress
import re
import time
import traceback
from pathlib import Path
from typing import Any

from capsmith.core.log import get_logger
from capsmith.deploy.serving import keys
from capsmith.deploy.serving.bodies import ClientGone
from capsmith.deploy.serving.keys import ApiKeys, FailedAttempts, given_keys
from capsmith.deploy.serving.metrics import Metrics
from capsmith.deploy.serving.problems import Problem, busy
from capsmith.deploy.serving.request_body import RequestBody
from capsmith.deploy.serving.security import HEADERS, KnownHosts, is_same_origin
from capsmith.deploy.serving.settings import ServeSettings

PUBLIC = frozenset(("/", "/healthz", "/readyz", "/docs", "/openapi.json", "/favicon.ico"))
"""Paths that need no API key: they tell nothing about images. Files below ``/static/`` need none either."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
log = get_logger(__name__)


class Gate:
    """Decides whether a request is answered at all.

    Args:
        settings: Host names, keys, and limits.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self._hosts = KnownHosts(settings.host, settings.hosts)
        self._keys = ApiKeys(settings.keys)
        self._failed = FailedAttempts(keys.ATTEMPTS)
        self._max_header = settings.max_header

    def check(self, scope: Any, headers: dict[bytes, bytes]) -> None:
        """Checks a request before its body is read.

        Raises:
            Problem: 400, 401, 403, 429 or 431.
        """
        size = sum(len(name) + len(value) + 4 for name, value in scope["headers"]) + len(scope.get("raw_path") or b"")
        if size + len(scope["query_string"]) > self._max_header:
            raise Problem(431, f"the request line and the headers have more than {self._max_header:,} bytes")
        if _CONTROL.search(scope["path"]):
            raise Problem(400, "the path has control characters")
        host = headers.get(b"host", b"").decode("latin-1")
        if not host:
            raise Problem(400, "the Host header is missing")
        if not self._hosts.knows(host):
            raise Problem(403, "this service is not known by this host name; its operator can add --allowed-host NAME")
        if not is_same_origin(scope["method"], headers):
            raise Problem(403, "requests from pages of other sites are not answered")
        if self._keys and not is_public(scope["path"]):
            self._check_keys(_address(scope), given_keys(headers))

    def _check_keys(self, address: str, given: list[bytes]) -> None:
        challenge = {"www-authenticate": 'Bearer realm="capsmith"'}
        if not given:
            detail = "an API key is needed: send it as Authorization: Bearer KEY or as X-API-Key"
            raise Problem(401, detail, headers=challenge)
        right = all([self._keys.accepts(key) for key in given])
        seconds = self._failed.wait(address)
        if right and (not seconds or self._failed.knows(address)):
            self._failed.succeeded(address)
            return
        if seconds:
            raise busy("too many wrong API keys from this address; try again later", seconds)
        self._failed.add(address)
        raise Problem(401, "the API key is wrong", headers=challenge)


def is_public(path: str) -> bool:
    """Returns whether a path needs no API key."""
    return path in PUBLIC or path.startswith("/static/")


def _address(scope: Any) -> str:
    """Returns the client's address; of an IPv6 address its network, as one client has many."""
    address = str((scope.get("client") or ("unknown",))[0])
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((known, 64), strict=False)) if known.version == 6 else address


class ServiceMiddleware:
    """Surrounds the application, as ASGI middleware.

    Args:
        app: The application.
        settings: The limits.
        metrics: Counts the answers.
    """

    def __init__(self, app: Any, settings: ServeSettings, metrics: Metrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics
        self._gate = Gate(settings)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        headers = dict(scope["headers"])
        body = RequestBody(receive, headers, self._settings)
        answer = _Answer(send, scope["method"] == "HEAD", body)
        inner = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        try:
            self._gate.check(scope, headers)
            if body.problem is not None:
                raise body.problem
            await self._app(inner, body, answer)
        except Problem as problem:
            await answer.refuse(problem, inner)
        except ClientGone:
            answer.status = 499
        except Exception as error:
            await self._fail(error, inner, answer)
        finally:
            self._record(scope["method"], inner, answer.status, time.perf_counter() - start)

    async def _fail(self, error: Exception, scope: Any, answer: "_Answer") -> None:
        """Answers by a problem, and logs where the error is, without its message, which could tell file names."""
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(frame.filename).name}:{frame.lineno}"
        log.error("%s %s failed: %s in %s", scope["method"], _route(scope), type(error).__name__, place)
        log.debug("%s", "".join(traceback.format_tb(error.__traceback__)))
        if answer.status:
            raise error
        await answer.refuse(Problem(500, "an error of the service; its log says more"), scope)

    def _record(self, method: str, scope: Any, status: int, seconds: float) -> None:
        route = _route(scope)
        self._metrics.answered(method, route, status, seconds)
        if self._settings.verbose:
            log.info("%s %s %d %.0f ms", method[:10], route, status, 1000 * seconds)


def _route(scope: Any) -> str:
    """Returns the template of a request's path."""
    return getattr(scope.get("route"), "path", "unknown")


class _Answer:
    """Sends an answer, as the ``send`` of an ASGI application, with the headers that all answers have."""

    def __init__(self, send: Any, head: bool, body: RequestBody) -> None:
        self._send, self._head, self._body = send, head, body
        self._replaced = False
        self.status = 0

    async def refuse(self, problem: Problem, scope: Any) -> None:
        """Answers by a problem, unless an answer was begun."""
        if not self.status:
            await problem.response()(scope, self._body, self)

    async def __call__(self, message: Any) -> None:
        if self._replaced:
            return
        if message["type"] == "http.response.start":
            if self._body.problem is not None and message["status"] != self._body.problem.status:
                self._replaced = True  # something caught the problem of the body and made another of it
                await _Answer.refuse(_Answer(self._send, self._head, self._body), self._body.problem, {"type": "http"})
                self.status = self._body.problem.status
                return
            self.status = message["status"]
            present = {name for name, _ in message["headers"]}
            added = [header for header in HEADERS if header[0] not in present]
            if not self._body.complete:
                added.append((b"connection", b"close"))
            await self._send({**message, "headers": [*message["headers"], *added]})
            return
        if self._head:
            message = {**message, "body": b""}
        if self._body.complete or message.get("more_body", False):
            await self._send(message)
            return
        await self._send({**message, "more_body": True})
        await self._body.drain()
        await self._send({"type": "http.response.body", "body": b""})
