"""Special files: a pipe, which blocks its reader, and an endless device."""

import os
from pathlib import Path

DEEP = '{"a":' * 100_000 + "1" + "}" * 100_000
"""JSON that no parser that recurses can read."""


def pipe(path: Path) -> Path:
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    return path


def device(path: Path) -> Path:
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")
    return path
