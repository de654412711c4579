"""Loads a detector's file in a process of its own, with limits, and says how it ended."""

import json
import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capsmith.core.errors import CapsmithError, printable

MEMORY = 8 * 2**30
"""Bytes of address space that a process may use."""


@dataclass(frozen=True)
class Outcome:
    """How loading and detecting ended.

    Attributes:
        kind: ``refused`` with an error for users, ``read``, or ``harmed``: a traceback, a crash, no end in time.
        text: The error, or what was found, or what happened.
        seconds: How long it took.
    """

    kind: str
    text: str
    seconds: float


def detect_within(path: Path, image: Any, load: Callable[[Path], Any], seconds: float = 30) -> Outcome:
    """Loads a file and detects objects in an image, in a forked process whose working folder is the file's.

    Args:
        path: The file.
        image: What ``detect`` takes.
        load: Returns a detector of the file.
        seconds: After which the process is ended.
    """
    start, (reading, writing) = time.monotonic(), os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _report(writing, path, image, load)
    os.close(writing)
    content = _read(reading, start + seconds)
    spent = time.monotonic() - start
    if content is None:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if content is None:
        return Outcome("harmed", f"no end within {seconds:g} s", spent)
    if not content:
        return Outcome("harmed", f"the process died ({status})", spent)
    kind, text = json.loads(content)
    return Outcome(kind, text, spent)


def _read(handle: int, deadline: float) -> bytes | None:
    parts = []
    with os.fdopen(handle, "rb", buffering=0) as pipe:
        while (left := deadline - time.monotonic()) > 0:
            if select.select([pipe], [], [], left)[0]:
                part = pipe.read(2**16)
                if not part:
                    return b"".join(parts)
                parts.append(part)
    return None


def _report(writing: int, path: Path, image: Any, load: Callable[[Path], Any]) -> None:
    """Does the work of the child process, and ends it."""
    try:
        os.chdir(path.parent)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        result = _tried(path, image, load)
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(json.dumps(result).encode())
    finally:
        sys.stdout.flush()
        os._exit(0)


def _tried(path: Path, image: Any, load: Callable[[Path], Any]) -> tuple[str, str]:
    try:
        detected = load(path).detect(image)
    except CapsmithError as error:
        text = printable(error)
        return ("harmed", f"several lines: {text}") if "\n" in str(error) else ("refused", text)
    except BaseException:
        return "harmed", traceback.format_exc(limit=-3)
    for found in detected.objects:
        left, top, right, bottom = found.box
        inside = 0 <= left < right <= detected.width and 0 <= top < bottom <= detected.height
        if not (inside and 0 <= found.score <= 1 and found.label and found.label.isprintable()):
            return "harmed", f"impossible: {found}"
    return "read", f"{len(detected.objects)} objects"
