"""Who may talk to the service: known host names, the same origin for changes, and headers that browsers obey."""

import ipaddress
import re
import socket
from collections.abc import Iterable, Mapping

_LOOPBACK_NAMES = ("localhost", "localhost.localdomain", "ip6-localhost")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(:[0-9]{1,5})?")
_SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))

API_POLICY = "default-src 'none'; frame-ancestors 'none'"
"""Content security policy of answers that are not pages."""

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""Content security policy of our pages: nothing inline, nothing from elsewhere."""

DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content security policy of Swagger UI, which sets styles on its elements."""

HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", API_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=(), payment=(), usb=()"),
    (b"cache-control", b"no-store"),
)
"""Headers of every answer that does not set them itself."""


class KnownHosts:
    """The host names by which the service may be addressed.

    A page that binds its own name to 127.0.0.1 (DNS rebinding) would otherwise reach a service that only this machine
    can reach. An address is no name, so it cannot be bound to anything else.

    Args:
        host: The address on which the service listens.
        more: Further names; ``*`` allows all.
    """

    def __init__(self, host: str, more: Iterable[str] = ()) -> None:
        names = {_bare(name) for name in more}
        self._all = "*" in names
        self._loopback = _is_loopback(host)
        self._names = {*names, *_LOOPBACK_NAMES}
        if not self._loopback:
            self._names |= {_bare(host), socket.gethostname().lower()}

    def knows(self, host: str) -> bool:
        """Returns whether a ``Host`` header names this service; its port does not matter."""
        if not _HOST.fullmatch(host):
            return False
        name = _bare(host)
        if self._all or name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return address.is_loopback or not self._loopback


def is_same_origin(method: str, headers: Mapping[bytes, bytes]) -> bool:
    """Returns whether a request comes from our own page, or from a program, and not from a page of another site.

    Browsers send ``Sec-Fetch-Site`` or ``Origin`` with every request that can change something; programs send neither.

    Args:
        method: The HTTP method.
        headers: The headers of the request.
    """
    if method in _SAFE_METHODS:
        return True
    if headers.get(b"sec-fetch-site", b"none") not in (b"same-origin", b"none"):
        return False
    origin = headers.get(b"origin")
    if origin is None:
        return True
    scheme, separator, host = origin.partition(b"://")
    return bool(separator) and scheme in (b"http", b"https") and host.lower() == headers.get(b"host", b"").lower()


def _bare(host: str) -> str:
    """Returns a host without its port, in lower case."""
    host = host.strip().lower().rstrip(".")
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0] if host.count(":") == 1 else host


def _is_loopback(host: str) -> bool:
    name = host.strip("[]").lower()
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name in _LOOPBACK_NAMES
