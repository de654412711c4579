"""The sockets on which the service listens."""

import errno
import ipaddress
import os
import socket
from collections.abc import Sequence

from capsmith.core.errors import ConfigError, escaped

_BACKLOG = 128


def listen(host: str, port: int) -> list[socket.socket]:
    """Binds to all addresses of a host.

    Args:
        host: A name or an address.
        port: The port; 0 lets the system choose one, the same for all addresses.

    Raises:
        ConfigError: The host is unknown or not one of this machine, or the port is in use or not allowed.
    """
    if not 0 <= port <= 65_535:
        raise ConfigError(f"--port {port}: a number from 0 to 65,535")
    sockets: list[socket.socket] = []
    error: OSError | None = None
    for family, address in _addresses(host):
        try:
            sockets.append(_bound(family, (address, sockets[0].getsockname()[1] if sockets else port)))
        except OSError as one:
            error = error or one
            if one.errno == errno.EADDRINUSE:
                break
    if not sockets or (error is not None and error.errno == errno.EADDRINUSE):
        for bound in sockets:
            bound.close()
        raise ConfigError(_explained(error or OSError(), host, port)) from error
    return sockets


def address_of(sockets: Sequence[socket.socket]) -> str:
    """Returns the address for a browser on this machine."""
    host, port = sockets[0].getsockname()[:2]
    address = ipaddress.ip_address(host.split("%")[0])
    if address.is_unspecified:
        address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
    return f"http://{address if address.version == 4 else f'[{address}]'}:{port}"


def is_loopback(sockets: Sequence[socket.socket]) -> bool:
    """Returns whether only this machine can reach the sockets."""
    return all(ipaddress.ip_address(one.getsockname()[0].split("%")[0]).is_loopback for one in sockets)


def _addresses(host: str) -> list[tuple[int, str]]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"--host {escaped(host)[:80]}: there is no such host or address") from error
    ordered = sorted(found, key=lambda one: one[0] != socket.AF_INET)
    return list(dict.fromkeys((int(family), str(address[0])) for family, _, _, _, address in ordered))


def _bound(family: int, address: tuple[str, int]) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # else asyncio sets no TCP_NODELAY
    try:
        if os.name == "posix":  # elsewhere it would let two processes share the port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
        bound.listen(_BACKLOG)  # now, as two sockets may be bound to one port until one of them listens
        bound.setblocking(False)
    except OSError:
        bound.close()
        raise
    return bound


def _explained(error: OSError, host: str, port: int) -> str:
    where = f"port {port} of {escaped(host)[:80]}"
    if error.errno == errno.EADDRINUSE:
        return f"{where} is in use: stop what uses it, or choose another with --port (0 finds a free one)"
    if error.errno == errno.EACCES:
        return f"{where} needs the rights of an administrator: choose one above 1023 with --port"
    if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        return f"--host {escaped(host)[:80]} is not an address of this machine"
    return f"cannot listen on {where}: {error.strerror or error}"
