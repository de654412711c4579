"""One rule for all that is written: what capsmith made may be replaced; nothing else, and nothing that is read.

What is ours is known by what is in it: the generator of a page, the software that an image names, the fields of a file
of captions. So a folder that an interrupted command left half-filled is still ours, and one of somebody else never is.
"""

import os
import re
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from capsmith.core.errors import ConfigError, because
from capsmith.core.readers.json_files import parse_json
from capsmith.core.readers.regular_files import read_bytes

GENERATOR = '<meta name="generator" content="capsmith">'
COPIES = "copies.json"
"""Lists the small copies of images beside a page."""
PAGE, PREDICTIONS, SCORES = REPORT_FILES = ("index.html", "predictions.jsonl", "scores.json")
"""The files of a report."""
SOFTWARE = 0x0131
"""The EXIF tag of the program that wrote an image."""
_COPY = re.compile(r"[0-9a-f]{16}\.jpg")
_MARKED = ("PNG", "JPEG", "WEBP")  # formats in which a mark can be found without decoding the image
_LONGEST_LINE = 1 << 20

Test = Callable[[Path], bool]


def require_replaceable(path: Path, ours: Test, option: str, read: Iterable[Path] = ()) -> None:
    """Checks that a file may be written.

    Args:
        path: Where it goes.
        ours: Says whether a file that is there is what capsmith wrote there.
        option: What names the place, for the message.
        read: Files that the command reads.

    Raises:
        ConfigError: The place is taken by another file, or by one that is read.
    """
    if any(_same(path, other) for other in read):
        raise ConfigError(
            f"{path} is read by this command, which would write over it: name another place with {option}"
        )
    if not os.path.lexists(path):
        return
    try:
        regular = stat.S_ISREG(os.stat(path).st_mode)
        if regular:
            path.open("rb").close()  # else a test might take for foreign what may not be read
        fine = regular and ours(path)
    except FileNotFoundError:
        raise ConfigError(f"{path} is a link to nothing: remove it, or name another place with {option}") from None
    except OSError as error:
        raise ConfigError(f"cannot look at {path}, which would be replaced: {because(error)}") from error
    if not fine:
        what = "capsmith did not make it" if regular else "it is no file"
        raise ConfigError(f"{path} is there already, and {what}: move it away, or name another place with {option}")


def require_image_name(path: Path, option: str) -> None:
    """Checks that the ending of a name is that of a format in which images can be written.

    Raises:
        ConfigError: It is not.
    """
    from PIL import Image

    if Image.registered_extensions().get(path.suffix.lower()) not in Image.SAVE:
        raise ConfigError(f"{option} {path}: the ending names no image format that can be written (try .png)")


def require_page(directory: Path, option: str, read: Iterable[Path] = (), report: bool = False) -> None:
    """Checks that a page, and the images beside it, may be written into a folder.

    Args:
        directory: The folder, which need not be there.
        option: What names it, for the message.
        read: Files that the command reads.
        report: The page is a report, with predictions and scores beside it.

    Raises:
        ConfigError: It holds files of those names that are not ours.
    """
    if os.path.lexists(directory) and not os.path.isdir(directory):
        raise ConfigError(f"{directory} is no folder: name another place with {option}")
    tests: dict[str, Test] = {PAGE: _is_page}
    tests |= {PREDICTIONS: _is_predictions, SCORES: _is_scores} if report else {}
    read = list(read)
    for name, ours in tests.items():
        require_replaceable(directory / name, ours, option, read)
    images = directory / "images"
    if not os.path.lexists(images):
        return
    try:
        ours_too = listed_copies(images) is not None or not _visible(images)
    except OSError as error:
        raise ConfigError(f"cannot look at {images}: {because(error)}") from error
    if not ours_too:
        raise ConfigError(
            f"{images} is there already, and capsmith did not make it: move it, or name another place with {option}"
        )


def listed_copies(folder: Path) -> set[str] | None:
    """Returns the names of the copies in a folder that are ours; None where the list is missing or somebody else's.

    Raises:
        OSError: It may not be read.
    """
    try:
        names = parse_json(read_bytes(folder / COPIES))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    if not isinstance(names, list):
        return None
    return {name for name in names if isinstance(name, str) and _COPY.fullmatch(name)}


def marked(kind: str) -> dict[str, Any]:
    """Returns how Pillow is to save an image so that `is_marked` knows it again."""
    from PIL import Image

    exif = Image.Exif()
    exif[SOFTWARE] = _mark(kind)
    return {"exif": exif.tobytes()}


def is_marked(kind: str) -> Test:
    """Returns a test of whether a file is an image that was saved as `marked` says."""

    def ours(path: Path) -> bool:
        from capsmith.vision.image_files import open_image

        try:
            with open_image(path, path.name) as image:
                return image.format in _MARKED and _mark(kind).encode() in bytes(image.info.get("exif", b""))
        except Exception:  # no image, or whatever a damaged header leads to
            return False

    return ours


def inputs_of(settings: BaseModel) -> list[Path]:
    """Returns the files that a config names, those of a data set below its root."""
    root = getattr(getattr(settings, "data", None), "root", Path())
    return [found if found.is_absolute() else base / found for base in (Path(), root) for found in _paths(settings)]


def _paths(value: Any) -> list[Path]:
    if isinstance(value, Path):
        return [value]
    if isinstance(value, BaseModel):
        value = [getattr(value, name) for name in type(value).model_fields]
    return [path for item in value for path in _paths(item)] if isinstance(value, list | tuple) else []


def _mark(kind: str) -> str:
    return f"capsmith {kind}"


def _is_page(path: Path) -> bool:
    with path.open(encoding="utf-8", errors="replace") as file:
        return GENERATOR in file.read(400)


def _is_scores(path: Path) -> bool:
    try:
        value = parse_json(read_bytes(path))
    except ValueError:
        return False
    return isinstance(value, dict) and {"split", "scores", "decoding"} <= value.keys()


def _is_predictions(path: Path) -> bool:
    with path.open(encoding="utf-8", errors="replace") as file:
        first = file.readline(_LONGEST_LINE)
    try:
        value = parse_json(first) if first else {"image": "", "caption": "", "log_probability": 0.0}
    except ValueError:
        return False
    return isinstance(value, dict) and {"image", "caption", "log_probability"} <= value.keys()


def _visible(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if not name.startswith(".")]


def _same(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)
