"""Reading ``.npz`` and ``.npy`` files that somebody may have damaged, or made to do harm.

Each kind of file has a schema: which arrays it holds, of which type and shape. What a header says is compared with it
before the array is loaded; pickles are refused.
"""

import io
import math
import warnings
import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from capsmith.core.errors import CapsmithError, because, one_line
from capsmith.core.readers.archives import ArchiveError, open_archive

FLOATS, WHOLE = "f", "iu"
"""Kinds of NumPy's types: floating point up to 64 bits, whole numbers with and without sign."""
_ENDING = ".npy"
_HEADER_BYTES = 16_384  # more than NumPy writes for any array of numbers
_MOST_AXES = 8
_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@dataclass(frozen=True)
class ArraySpec:
    """What one array of a file must be.

    Attributes:
        kinds: ``FLOATS``, ``WHOLE`` or both; the numbers must be finite.
        shape: Sizes of its axes. A name stands for any size, but for the same one wherever it stands in a schema.
        least: The smallest number allowed.
        most: The largest number allowed.
    """

    kinds: str
    shape: tuple[int | str, ...]
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True)
class ArrayHeader:
    """What a ``.npy`` header says.

    Attributes:
        dtype: Of the numbers.
        shape: Of the array.
        fortran_order: Whether the first axis changes fastest.
        offset: Bytes before the numbers.
    """

    dtype: np.dtype
    shape: tuple[int, ...]
    fortran_order: bool
    offset: int

    @property
    def size(self) -> int:
        """Bytes of header and numbers."""
        return self.offset + self.dtype.itemsize * math.prod(self.shape)


def read_arrays(
    path: Path, schema: Mapping[str, ArraySpec], error: type[CapsmithError], advice: str
) -> dict[str, np.ndarray]:
    """Returns the arrays of an ``.npz`` file by name.

    Args:
        path: The file.
        schema: The arrays that it holds, all of them and no others.
        error: What to raise.
        advice: What to do when it is damaged; ends the message.

    Raises:
        CapsmithError: As ``error``: the file cannot be read, is damaged, or is not of this schema.
    """
    with _opened(path, error, advice) as archive:
        headers = {name: _member_header(archive, name) for name in _names(archive)}
        require_names(headers, schema)
        sizes: dict[str, int] = {}
        for name, spec in schema.items():
            _require_type(name, headers[name], spec)
            _require_shape(name, headers[name], spec, sizes)
        return {name: _loaded(archive, name, spec) for name, spec in schema.items()}


def read_array(path: Path, name: str, spec: ArraySpec, error: type[CapsmithError], advice: str) -> np.ndarray:
    """Returns one array of an ``.npz`` file that may hold others; raises as ``read_arrays``."""
    with _opened(path, error, advice) as archive:
        require_names(_names(archive), (name,), more=True)
        header = _member_header(archive, name)
        _require_type(name, header, spec)
        _require_shape(name, header, spec, {})
        return _loaded(archive, name, spec)


def read_headers(path: Path, error: type[CapsmithError], advice: str) -> dict[str, ArrayHeader]:
    """Returns what the headers of an ``.npz`` file say, without loading an array; raises as ``read_arrays``."""
    with _opened(path, error, advice) as archive:
        return {name: _member_header(archive, name) for name in _names(archive)}


def read_header(file: IO[bytes]) -> ArrayHeader:
    """Reads the header of a ``.npy`` file.

    Raises:
        ValueError: It is damaged, or is of no array of plain numbers.
    """
    start = io.BytesIO(file.read(_HEADER_BYTES))
    version = np.lib.format.read_magic(start)
    if version not in _READERS:
        raise ValueError(f"it is of version {version[0]}.{version[1]}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # NumPy warns of headers that Python 2 wrote
        shape, fortran_order, dtype = _READERS[version](start)
    if dtype.kind not in "fiub" or dtype.itemsize > 8:
        raise ValueError(f"it holds {str(dtype)[:60]}, not numbers")
    if len(shape) > _MOST_AXES or any(type(size) is not int or not 0 <= size < 2**48 for size in shape):
        raise ValueError(f"its shape is {str(shape)[:60]}")
    return ArrayHeader(dtype, shape, fortran_order, start.tell())


def require_names(found: Collection[str], schema: Collection[str], more: bool = False) -> None:
    """Raises ArchiveError where an archive lacks an array, or holds one that is in no schema unless ``more``."""
    if absent := [name for name in schema if name not in found]:
        raise ArchiveError(f"it lacks {absent[0]!r}")
    if not more and (surplus := [name for name in found if name not in schema]):
        raise ArchiveError(f"it holds {surplus[0][:60]!r}, which is not of such a file")


@contextmanager
def _opened(path: Path, error: type[CapsmithError], advice: str) -> Iterator[zipfile.ZipFile]:
    try:
        with open_archive(path) as archive:
            yield archive
    except OSError as cause:
        raise error(f"cannot read {path}: {because(cause, advice)}") from cause
    except ArchiveError as cause:
        raise error(f"{path} is damaged: {one_line(cause)[:300]}; {advice}") from cause


def _names(archive: zipfile.ZipFile) -> list[str]:
    names = archive.namelist()
    if others := [name for name in names if not name.endswith(_ENDING)]:
        raise ArchiveError(f"it holds {others[0][:60]!r}, which is no array")
    return [name.removesuffix(_ENDING) for name in names]


def _member_header(archive: zipfile.ZipFile, name: str) -> ArrayHeader:
    with archive.open(name + _ENDING) as member:
        try:
            header = read_header(member)
        except Exception as cause:  # NumPy raises whatever a damaged header leads to
            raise ArchiveError(f"{name[:60]!r}: {one_line(cause)}") from cause
    if header.size != archive.getinfo(name + _ENDING).file_size:
        raise ArchiveError(f"{name[:60]!r} has not the size that its header says")
    return header


def _require_type(name: str, header: ArrayHeader, spec: ArraySpec) -> None:
    if header.dtype.kind not in spec.kinds:
        raise ArchiveError(f"{name!r} holds {header.dtype}, not {_kinds(spec.kinds)}")


def _require_shape(name: str, header: ArrayHeader, spec: ArraySpec, sizes: dict[str, int]) -> None:
    wanted = tuple(sizes.get(size, size) if isinstance(size, str) else size for size in spec.shape)
    right = len(wanted) == len(header.shape)
    for want, size in zip(wanted, header.shape, strict=False):
        if isinstance(want, str):
            right = right and sizes.setdefault(want, size) == size
        else:
            right = right and want == size
    if not right:
        raise ArchiveError(f"{name!r} has the shape {header.shape}, not ({', '.join(map(str, wanted))})")


def _loaded(archive: zipfile.ZipFile, name: str, spec: ArraySpec) -> np.ndarray:
    with archive.open(name + _ENDING) as member:
        found: np.ndarray = np.lib.format.read_array(member, allow_pickle=False)
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise ArchiveError(f"{name!r} holds values that are no numbers")
    if found.size and spec.least is not None and found.min() < spec.least:
        raise ArchiveError(f"{name!r} holds {found.min()}, less than {spec.least:g}")
    if found.size and spec.most is not None and found.max() > spec.most:
        raise ArchiveError(f"{name!r} holds {found.max()}, more than {spec.most:g}")
    return found


def _kinds(kinds: str) -> str:
    return {FLOATS: "floating-point numbers", WHOLE: "whole numbers"}.get(kinds, "numbers")
