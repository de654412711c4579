"""API keys: read from a file, compared in constant time, and few wrong ones per address."""

import hashlib
import hmac
import os
import stat
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from capsmith.core.errors import ConfigError, escaped
from capsmith.core.log import get_logger
from capsmith.core.readers.regular_files import SMALL_FILE, read_text

SHORTEST_KEY = 16
"""Characters of the shortest key."""
LONGEST_KEY = 512
"""Characters of the longest key."""

ATTEMPTS = 10
"""Wrong keys within a minute after which an address has to wait."""
_SECONDS, _KNOWN, _ADDRESSES = 60.0, 3600.0, 4096
log = get_logger(__name__)


def read_keys(path: Path) -> tuple[str, ...]:
    """Reads a file of API keys: one a line; empty lines and lines that begin with ``#`` do not count.

    Raises:
        ConfigError: The file cannot be read, has no key, or a key is too short or not plain ASCII.
    """
    try:
        lines = read_text(path, SMALL_FILE).splitlines()
        mode = path.stat().st_mode
    except OSError as error:
        raise ConfigError(f"cannot read the API keys in {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: write one API key a line") from error
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        log.warning("%s can be read by other users of this machine: chmod 600 %s", path, path)
    keys = [
        _checked(line.strip(), f"{path}, line {number}")
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not keys:
        raise ConfigError(f"{path} has no API key: write one a line, such as the output of openssl rand -hex 32")
    return tuple(dict.fromkeys(keys))


def _checked(key: str, place: str) -> str:
    if not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        raise ConfigError(
            f"{place}: a key of {len(key)} characters; use {SHORTEST_KEY} to {LONGEST_KEY}, such as the output of "
            "openssl rand -hex 32"
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        bad = next(
            character for character in key if not (character.isascii() and character.isprintable()) or character == " "
        )
        raise ConfigError(f"{place}: {escaped(repr(bad))} cannot be part of a key: use printable ASCII without spaces")
    return key


class ApiKeys:
    """The keys of a service. Without keys, everyone may use it.

    Args:
        keys: The keys.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = [_digest(key.encode()) for key in keys]

    def __bool__(self) -> bool:
        return bool(self._digests)

    def accepts(self, key: bytes) -> bool:
        """Returns whether a key is one of ours. It takes equally long for all keys, right or wrong."""
        digest = _digest(key)
        return sum(hmac.compare_digest(digest, own) for own in self._digests) > 0


def given_keys(headers: Mapping[bytes, bytes]) -> list[bytes]:
    """Returns the keys that a request sends; all must be right. Credentials of another kind count as a wrong key."""
    given = []
    if b"authorization" in headers:
        scheme, _, key = headers[b"authorization"].partition(b" ")
        given.append(key.strip() if scheme.lower() == b"bearer" else b"")
    if b"x-api-key" in headers:
        given.append(headers[b"x-api-key"].strip())
    return given


class FailedAttempts:
    """Counts wrong keys by address, and names the addresses that have to wait.

    An address from which a right key came within an hour need not wait with that: several clients may share it, as
    behind a proxy, and one of them could otherwise lock all out by guesses.

    Args:
        limit: Wrong keys within the time after which an address waits.
        seconds: The time.
        clock: The time in seconds.
    """

    def __init__(self, limit: int, seconds: float = _SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit, self.seconds, self._clock = limit, seconds, clock
        self._attempts: OrderedDict[str, list[float]] = OrderedDict()
        self._known: OrderedDict[str, float] = OrderedDict()

    def wait(self, address: str) -> float:
        """Returns the seconds that an address has to wait; 0 if it may try a key."""
        recent = self._recent(address)
        return recent[-self.limit] + self.seconds - self._clock() if len(recent) >= self.limit else 0.0

    def add(self, address: str) -> None:
        """Counts a wrong key."""
        recent = [*self._recent(address), self._clock()]
        _put(self._attempts, address, recent[-self.limit :])

    def succeeded(self, address: str) -> None:
        """Remembers that a right key came from an address."""
        _put(self._known, address, self._clock())

    def knows(self, address: str) -> bool:
        """Returns whether a right key came from an address within an hour."""
        return address in self._known and self._known[address] > self._clock() - _KNOWN

    def _recent(self, address: str) -> list[float]:
        start = self._clock() - self.seconds
        return [time for time in self._attempts.get(address, ()) if time > start]


def _put(values: OrderedDict[str, Any], address: str, value: Any) -> None:
    """Sets the value of an address, and forgets the oldest if there are many."""
    values[address] = value
    values.move_to_end(address)
    while len(values) > _ADDRESSES:
        values.popitem(last=False)


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
