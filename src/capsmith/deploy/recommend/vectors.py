"""The vectors and the popularity of a library's texts, and the files that keep them.

A file holds the result for one library and one embedder. Its name is a hash of both contents, so a file is never
changed: a library that was edited gets another file, for which the texts of earlier files are not embedded again. Old
files are deleted when there are many.

M texts · P images of the bank · d dimensions.
"""

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from capsmith.core.errors import CapsmithError, DataError, one_line
from capsmith.core.files import atomic
from capsmith.core.log import get_logger
from capsmith.core.progress import track
from capsmith.core.readers.arrays import FLOATS, INTEGERS, ArraySpec, read_arrays
from capsmith.deploy.recommend.library import content_hash
from capsmith.retrieval.embedder import Embedder
from capsmith.retrieval.popularity import NEIGHBOURS, TEMPERATURE, Popularity, popularity

FOLDER = "libraries"
"""The folder of the files, below the user's cache."""
MAX_FILES, MAX_TOTAL = 200, 2 * 2**30  # files and bytes that are kept
_FORMAT = 1
_SUFFIX = ".npz"
_LOOKED_AT = 8  # latest files of an embedder whose texts are used again
_BATCH = 1024
_KEY = 16  # bytes of a text's hash
_MEASURES = ("neighbours", "softmax")
_ADVICE = "it is made again"
"""The end of the message about a file that cannot be used."""
_log = get_logger(__name__)


@dataclass(frozen=True)
class TextVectors:
    """What ranking needs of a library's texts.

    Attributes:
        vectors: Unit vectors (M, d), float32.
        popularity: How close each text is to the bank; None without a bank.
        embedded: How many texts were embedded now, and not read from a file.
    """

    vectors: np.ndarray
    popularity: Popularity | None
    embedded: int


def text_vectors(
    embedder: Embedder, texts: Sequence[str], bank: np.ndarray | None = None, folder: Path | None = None
) -> TextVectors:
    """Embeds the texts of a library, those that no file has.

    Args:
        embedder: The joint embedding.
        texts: The texts (M).
        bank: Vectors of images (P, d) against which popularity is measured.
        folder: The folder of the files, created if missing; None keeps nothing. If it cannot be written, a line in the
            log says so.
    """
    rows = {text: row for row, text in enumerate(dict.fromkeys(texts))}  # texts that occur twice are embedded once
    files = None if folder is None else _Files(folder, _model_hash(embedder, bank), embedder.size, bank is not None)
    arrays: dict[str, np.ndarray] = {"vectors": np.zeros((len(rows), embedder.size), np.float32)}
    if bank is not None:
        arrays |= {name: np.zeros(len(rows), np.float32) for name in _MEASURES}
    known = np.zeros(len(rows), bool) if files is None else files.read(list(rows), arrays)
    _complete(embedder, list(rows), bank, arrays, np.flatnonzero(~known))
    if files is not None:
        files.keep(list(rows), arrays, changed=not known.all())
    place = np.array([rows[text] for text in texts])
    measured = None if bank is None else Popularity(arrays["neighbours"][place], arrays["softmax"][place])
    return TextVectors(arrays["vectors"][place], measured, int((~known).sum()))


def _complete(
    embedder: Embedder,
    texts: Sequence[str],
    bank: np.ndarray | None,
    arrays: dict[str, np.ndarray],
    missing: np.ndarray,
) -> None:
    """Embeds and measures the missing rows of texts; the arrays are changed in place."""
    batches = range(0, len(missing), _BATCH)
    for first in track(batches, desc="embedding captions", unit="batch") if len(batches) > 1 else batches:
        rows = missing[first : first + _BATCH]
        arrays["vectors"][rows] = embedder.embed_texts([texts[row] for row in rows])
    if bank is not None and len(missing):
        measured = popularity(arrays["vectors"][missing], bank)
        arrays["neighbours"][missing], arrays["softmax"][missing] = measured.neighbours, measured.softmax


class _Files:
    """The files of one embedder and bank."""

    def __init__(self, folder: Path, model: str, size: int, measured: bool) -> None:
        self.folder, self.model = folder, model
        measures = {name: ArraySpec(FLOATS, ("M",), -2, 2) for name in _MEASURES}
        self.schema = {
            "keys": ArraySpec(INTEGERS, ("M", _KEY), 0, 255),
            "vectors": ArraySpec(FLOATS, ("M", size), -1.001, 1.001),
            **(measures if measured else {}),
        }

    def read(self, texts: Sequence[str], arrays: dict[str, np.ndarray]) -> np.ndarray:
        """Fills the rows of those texts that a file has; returns which they are (M,), bool."""
        rows = {_key(text): row for row, text in enumerate(texts)}
        known = np.zeros(len(texts), bool)
        exact = self._path(texts)
        for path in [exact, *(path for path in self._latest() if path != exact)]:
            if known.all() or not path.exists() or (stored := self._arrays(path)) is None:
                continue
            keys = enumerate(key.tobytes() for key in stored["keys"])
            pairs = [(rows[key], place) for place, key in keys if key in rows and not known[rows[key]]]
            targets, places = [row for row, _ in pairs], [place for _, place in pairs]
            for name, array in arrays.items():
                array[targets] = stored[name][places]
            known[targets] = True
        return known

    def keep(self, texts: Sequence[str], arrays: dict[str, np.ndarray], changed: bool) -> None:
        """Writes the file of these texts if there is none or its texts had to be embedded; deletes old files."""
        path = self._path(texts)
        try:
            if path.exists() and not changed:
                os.utime(path)
                return
            keys = np.frombuffer(b"".join(map(_key, texts)), np.uint8).reshape(-1, _KEY)
            if sum(array.nbytes for array in arrays.values()) <= MAX_TOTAL:
                with atomic(path, "wb") as file:
                    np.savez(file, keys=keys, **arrays)  # type: ignore[arg-type]
            self._delete_old(path)
        except (CapsmithError, OSError) as error:
            _log.warning("the vectors of the captions are not kept: %s", one_line(error))

    def _path(self, texts: Sequence[str]) -> Path:
        return self.folder / f"{self.model}-{content_hash(texts)[:16]}{_SUFFIX}"

    def _latest(self) -> list[Path]:
        return _by_age(self.folder, f"{self.model}-")[:_LOOKED_AT]

    def _arrays(self, path: Path) -> dict[str, np.ndarray] | None:
        """Returns the arrays of a file; None, with a line in the log, if they are damaged."""
        try:
            arrays = read_arrays(path, self.schema, DataError, _ADVICE)
            lengths = np.linalg.norm(arrays["vectors"], axis=1)
            if not np.allclose(lengths, 1, atol=1e-3):
                raise DataError(f"{path} is damaged: its vectors do not have length 1; {_ADVICE}")
        except DataError as error:
            _log.warning("%s", one_line(error))
            with suppress(OSError):
                path.unlink()
            return None
        return {**arrays, "keys": arrays["keys"].astype(np.uint8)}

    def _delete_old(self, newest: Path) -> None:
        total = 0
        for number, path in enumerate(_by_age(self.folder)):
            with suppress(OSError):  # another process deleted it
                total += path.stat().st_size
                if path != newest and (number >= MAX_FILES or total > MAX_TOTAL):
                    path.unlink()


def _by_age(folder: Path, start: str = "") -> list[Path]:
    """Returns the files of a folder whose names begin so, the latest first."""
    ages: list[tuple[float, Path]] = []
    with suppress(OSError):
        for path in folder.iterdir():
            if path.suffix == _SUFFIX and path.name.startswith(start) and not path.name.startswith("."):
                with suppress(OSError):
                    ages.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(ages, reverse=True)]


def _model_hash(embedder: Embedder, bank: np.ndarray | None) -> str:
    """Returns a hash of all that vectors and popularity depend on, texts excepted."""
    digest = hashlib.sha256(f"{_FORMAT} {embedder.fingerprint} {embedder.size} {NEIGHBOURS} {TEMPERATURE}".encode())
    if bank is not None:
        digest.update(np.ascontiguousarray(bank, np.float32).tobytes())
    return digest.hexdigest()[:16]


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:_KEY]
