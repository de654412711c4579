"""``index.json``: what an index was made by, and the sizes of its vectors."""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capsmith.core.errors import CapsmithError, one_line
from capsmith.core.files import write_json
from capsmith.core.readers.json_files import parse_json
from capsmith.core.readers.regular_files import SMALL_FILE, read_bytes
from capsmith.retrieval.embedder import Embedder

FILE = "index.json"
"""The file by which a folder is known as an index."""
FORMAT = 1
"""Version of the format of the folder."""
_LARGEST = 1 << 16  # dimensions of a vector
ADVICE = "delete the folder and make it anew with capsmith index"


class ImageIndexError(CapsmithError):
    """An index cannot be opened, read or written."""


class IndexBusy(ImageIndexError):
    """Another process writes the index, or its lock cannot be written."""


class IndexModelError(ImageIndexError):
    """An index was made by another model."""


@dataclass(frozen=True)
class IndexFile:
    """The content of ``index.json``.

    Attributes:
        fingerprint: Of the model: vectors of other models cannot be compared with these.
        model: The model's name for people.
        size: Dimensions of the joint space.
        visual_size: Dimensions of visual vectors.
        runs: Absolute paths of the model's runs; none if it is another engine, or was not told.
        engine: Such as ``clip:PRESET``.
    """

    fingerprint: str
    model: str
    size: int
    visual_size: int
    runs: tuple[str, ...] = ()
    engine: str | None = None

    @classmethod
    def of(cls, embedder: Embedder, runs: Sequence[str | Path] = (), engine: str | None = None) -> "IndexFile":
        """Returns what is kept about a model."""
        return cls(
            embedder.fingerprint,
            embedder.name,
            embedder.size,
            embedder.visual_size,
            tuple(os.path.abspath(run) for run in runs),
            engine,
        )

    @classmethod
    def read(cls, folder: Path) -> "IndexFile":
        """Reads the file of an index.

        Raises:
            ImageIndexError: The folder is no index, or the file is damaged or of a newer version.
        """
        path = folder / FILE
        require_own_file(path)
        try:
            values = parse_json(read_bytes(path, SMALL_FILE))
        except (FileNotFoundError, NotADirectoryError) as error:
            what = "is not an index" if folder.is_dir() else "does not exist" if not folder.exists() else "is a file"
            raise ImageIndexError(f"{folder} {what}: capsmith index RUN PHOTOS --out {folder} makes one") from error
        except OSError as error:
            raise ImageIndexError(f"cannot read {path}: {error.strerror or error}") from error
        except ValueError as error:
            raise ImageIndexError(f"{path} is damaged ({one_line(error)[:200]}): {ADVICE}") from error
        try:
            return cls._from(values)
        except (TypeError, LookupError, ValueError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else one_line(error)
            raise ImageIndexError(f"{path} is damaged ({reason[:200]}): {ADVICE}") from error
        except _NewerError as error:
            raise ImageIndexError(f"{path} was made by a newer capsmith (format {error}): update capsmith") from error

    @classmethod
    def _from(cls, values: Any) -> "IndexFile":
        if type(values) is not dict:
            raise TypeError("it is not an object")
        version = _typed(values["index"], int)
        if version > FORMAT:
            raise _NewerError(f"{version}, not {FORMAT}")
        if version != FORMAT:
            raise ValueError(f"index: {version}")
        size, visual_size = (_typed(values[key], int) for key in ("size", "visual_size"))
        if not (1 <= size <= _LARGEST and 1 <= visual_size <= _LARGEST):
            raise ValueError(f"vectors of {size} and {visual_size} numbers")
        engine = values["engine"]
        return cls(
            _typed(values["fingerprint"], str),
            _typed(values["model"], str),
            size,
            visual_size,
            tuple(_typed(run, str) for run in _typed(values["runs"], list)),
            None if engine is None else _typed(engine, str),
        )

    def write(self, folder: Path) -> None:
        """Writes the file.

        Raises:
            CapsmithError: It cannot be written.
        """
        values: dict[str, Any] = {"index": FORMAT, **self.__dict__, "runs": list(self.runs)}
        write_json(folder / FILE, values)

    def require(self, embedder: Embedder, folder: Path) -> None:
        """Checks that an index was made by a model.

        Raises:
            IndexModelError: It was made by another one.
        """
        if self.fingerprint != embedder.fingerprint:
            raise IndexModelError(
                f"{folder} was made by another model ({self.model}), and vectors of {embedder.name} cannot be compared "
                f"with its own: use that model, or index the images into another folder with --out"
            )
        if (self.size, self.visual_size) != (embedder.size, embedder.visual_size):
            raise ImageIndexError(
                f"{folder / FILE} is damaged (vectors of {self.size} and {self.visual_size} numbers, not "
                f"{embedder.size} and {embedder.visual_size}): {ADVICE}"
            )


class _NewerError(Exception):
    pass


def require_own_file(path: Path) -> None:
    """Checks that a file of an index is a regular file, and no link out of the folder.

    Raises:
        ImageIndexError: It is something else.
    """
    if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
        raise ImageIndexError(f"{path} is not a regular file: {ADVICE}")


def _typed(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{value!r:.40} is not {kind.__name__}")
    return value
