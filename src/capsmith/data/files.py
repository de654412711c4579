"""Text files as people have them: found and decoded, with errors that say where."""

from collections.abc import Iterator
from pathlib import Path

from capsmith.data.records import DatasetConfig
from capsmith.errors import DataError
from capsmith.readers.regular_files import describe_special, read_bytes
from capsmith.schema import nearest

_SHOWN = 8


def locate(config: DatasetConfig, name: Path, key: str, folder: bool = False) -> Path:
    """Finds a file or folder of a dataset.

    Args:
        config: The dataset's settings.
        name: The path below ``config.root``, or an absolute one.
        key: The field of the config that holds it, for the message.
        folder: Look for a folder.

    Raises:
        DataError: It is not there; the message says what is.
    """
    if not config.root.is_dir():
        raise DataError(f"data.root: the folder {config.root} does not exist; set it with --set data.root=…")
    path = config.root / name
    if path.is_dir() if folder else path.is_file():
        return path
    if not folder and not path.is_dir() and (special := describe_special(path)):
        raise DataError(f"data.{key}: {path}: {special}")
    kind = "folder" if folder else "file"
    place = path.parent
    try:
        present = sorted(entry.name for entry in place.iterdir() if entry.is_dir() == folder)
    except OSError:
        place, present = config.root, sorted(entry.name for entry in config.root.iterdir())
    found = ", ".join(present[:_SHOWN]) + (", …" if len(present) > _SHOWN else "")
    raise DataError(
        f"data.{key}: {place} has no {kind} {path.name}{nearest(path.name, present)} ({kind}s found: {found or 'none'})"
    )


def read_text(path: Path) -> str:
    """Reads UTF-8 text, with or without a byte order mark; all line ends become newlines.

    Raises:
        DataError: The file cannot be read or is in another encoding.
    """
    try:
        raw = read_bytes(path)
    except OSError as cause:
        raise DataError(f"cannot read {path}: {cause.strerror or cause}") from cause
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{path} is UTF-16 text: save it as UTF-8")
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as cause:
        line = raw.count(b"\n", 0, cause.start) + 1
        column = cause.start - (raw.rfind(b"\n", 0, cause.start) + 1) + 1
        raise DataError(
            f"{path}, line {line}, byte {column}: 0x{raw[cause.start]:02x} is not UTF-8; save it as UTF-8"
        ) from cause
    return text.replace("\r\n", "\n").replace("\r", "\n")


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yields the lines that are not blank with their numbers, counted from one."""
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            yield number, line
