"""Checks of output paths: capsmith replaces only files that it wrote itself, and never an input.

It recognises its own files by their content: the generator tag of a page, the software tag of an image, the fields of
a predictions file. A partly filled folder of an interrupted command is therefore recognised, and other folders
are not.
"""

import os
import re
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from capsmith.core.errors import ConfigError, because
from capsmith.core.readers.json_files import parse_json
from capsmith.core.readers.regular_files import read_bytes

GENERATOR = '<meta name="generator" content="capsmith">'
COPIES = "copies.json"
"""The file that lists the image copies beside a page."""
PAGE, PREDICTIONS, SCORES = REPORT_FILES = ("index.html", "predictions.jsonl", "scores.json")
"""The files of a report."""
_COPY = re.compile(r"[0-9a-f]{16}\.jpg")
_LONGEST_LINE = 1 << 20

Test = Callable[[Path], bool]


def require_replaceable(path: Path, ours: Test, option: str, inputs: Iterable[Path] = ()) -> None:
    """Checks that a file may be written.

    Args:
        path: The file.
        ours: Returns whether capsmith wrote an existing file at this path.
        option: The option that sets the path, for the message.
        inputs: Files that the command reads.

    Raises:
        ConfigError: The path is one of the inputs, or holds a file that capsmith did not write.
    """
    if any(_same(path, other) for other in inputs):
        raise ConfigError(f"{path} is an input of this command and would be overwritten: name another path ({option})")
    if not os.path.lexists(path):
        return
    try:
        regular = stat.S_ISREG(os.stat(path).st_mode)
        if regular:
            path.open("rb").close()  # a file that cannot be read is an error, not a foreign file
        replaceable = regular and ours(path)
    except FileNotFoundError:
        raise ConfigError(f"{path} is a link to a missing file: remove it, or name another path ({option})") from None
    except OSError as error:
        raise ConfigError(f"cannot read {path}, which would be replaced: {because(error)}") from error
    if not replaceable:
        what = "capsmith did not write it" if regular else "it is not a regular file"
        raise ConfigError(f"{path} exists, and {what}: move it, or name another path ({option})")


def require_image_name(path: Path, option: str) -> None:
    """Checks that a file name ends in an image format that Pillow can write.

    Raises:
        ConfigError: The suffix is not that of such a format.
    """
    from PIL import Image

    if Image.registered_extensions().get(path.suffix.lower()) not in Image.SAVE:
        raise ConfigError(f"{option} {path}: the suffix is not an image format that can be written (try .png)")


def require_page(directory: Path, option: str, inputs: Iterable[Path] = (), report: bool = False) -> None:
    """Checks that a page, and the images beside it, may be written into a folder.

    Args:
        directory: The folder; it need not exist.
        option: The option that sets it, for the message.
        inputs: Files that the command reads.
        report: Whether the page is a report, with predictions and scores beside it.

    Raises:
        ConfigError: The folder holds files of these names that capsmith did not write.
    """
    if os.path.lexists(directory) and not os.path.isdir(directory):
        raise ConfigError(f"{directory} is not a folder: name another path ({option})")
    tests: dict[str, Test] = {PAGE: is_page}
    tests |= {PREDICTIONS: _is_predictions, SCORES: _is_scores} if report else {}
    inputs = list(inputs)
    for name, ours in tests.items():
        require_replaceable(directory / name, ours, option, inputs)
    images = directory / "images"
    if not os.path.lexists(images):
        return
    try:
        replaceable = listed_copies(images) is not None or not _visible_names(images)
    except OSError as error:
        raise ConfigError(f"cannot read {images}: {because(error)}") from error
    if not replaceable:
        raise ConfigError(f"{images} exists, and capsmith did not write it: move it, or name another path ({option})")


def listed_copies(folder: Path) -> set[str] | None:
    """Returns the names of capsmith's image copies in a folder; None if the folder has no valid list of copies.

    Raises:
        OSError: The list cannot be read.
    """
    try:
        names = parse_json(read_bytes(folder / COPIES))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    if not isinstance(names, list):
        return None
    return {name for name in names if isinstance(name, str) and _COPY.fullmatch(name)}


def is_page(path: Path) -> bool:
    """Returns whether a file is a page that capsmith wrote."""
    with path.open(encoding="utf-8", errors="replace") as file:
        return GENERATOR in file.read(400)


def _is_scores(path: Path) -> bool:
    try:
        value = parse_json(read_bytes(path))
    except ValueError:
        return False
    return isinstance(value, dict) and {"split", "scores"} <= value.keys()


def _is_predictions(path: Path) -> bool:
    with path.open(encoding="utf-8", errors="replace") as file:
        first = file.readline(_LONGEST_LINE)
    try:
        value = parse_json(first) if first else {"image": "", "caption": "", "log_probability": 0.0}
    except ValueError:
        return False
    return isinstance(value, dict) and {"image", "caption", "log_probability"} <= value.keys()


def _visible_names(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if not name.startswith(".")]


def _same(path: Path, other: Path) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:
        return os.path.realpath(path) == os.path.realpath(other)
