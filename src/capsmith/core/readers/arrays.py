"""Reading ``.npz`` and ``.npy`` files that may be damaged or malicious.

Each kind of file has a schema: its arrays with their types and shapes. The header is checked against the schema before
an array is loaded. Pickles are refused.
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

FLOATS, INTEGERS = "f", "iu"
"""Kinds of NumPy dtypes: floating point up to 64 bits, and signed or unsigned integers."""
_ENDING = ".npy"
_HEADER_SIZE = 16_384  # bytes; more than NumPy writes for an array of numbers
_MAX_AXES = 8
_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@dataclass(frozen=True)
class ArraySpec:
    """The required type, shape and range of an array.

    Attributes:
        kinds: ``FLOATS``, ``INTEGERS`` or both; the numbers must be finite.
        shape: Sizes of the axes. A name stands for any size, but for the same size throughout a schema.
        minimum: The smallest number allowed.
        maximum: The largest number allowed.
    """

    kinds: str
    shape: tuple[int | str, ...]
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True)
class ArrayHeader:
    """The header of a ``.npy`` file.

    Attributes:
        dtype: Type of the numbers.
        shape: Shape of the array.
        fortran_order: Whether the first axis changes fastest.
        offset: Bytes before the numbers.
    """

    dtype: np.dtype
    shape: tuple[int, ...]
    fortran_order: bool
    offset: int

    @property
    def size(self) -> int:
        """Size of header and numbers in bytes."""
        return self.offset + self.dtype.itemsize * math.prod(self.shape)


def read_arrays(
    path: Path, schema: Mapping[str, ArraySpec], error: type[CapsmithError], advice: str
) -> dict[str, np.ndarray]:
    """Returns the arrays of an ``.npz`` file by name.

    Args:
        path: The file.
        schema: All arrays of the file.
        error: The exception to raise.
        advice: What to do if the file is damaged; the end of the message.

    Raises:
        CapsmithError: As ``error``: the file cannot be read, is damaged, or does not match the schema.
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
    """Returns one array of an ``.npz`` file, which may hold more; raises as ``read_arrays``."""
    with _opened(path, error, advice) as archive:
        require_names(_names(archive), (name,), more=True)
        header = _member_header(archive, name)
        _require_type(name, header, spec)
        _require_shape(name, header, spec, {})
        return _loaded(archive, name, spec)


def read_headers(path: Path, error: type[CapsmithError], advice: str) -> dict[str, ArrayHeader]:
    """Returns the headers of an ``.npz`` file by name, without loading an array; raises as ``read_arrays``."""
    with _opened(path, error, advice) as archive:
        return {name: _member_header(archive, name) for name in _names(archive)}


def read_header(file: IO[bytes]) -> ArrayHeader:
    """Reads the header of a ``.npy`` file.

    Raises:
        ValueError: It is damaged, or the array does not hold plain numbers.
    """
    start = io.BytesIO(file.read(_HEADER_SIZE))
    version = np.lib.format.read_magic(start)
    if version not in _READERS:
        raise ValueError(f"its version is {version[0]}.{version[1]}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # NumPy warns about headers that Python 2 wrote
        shape, fortran_order, dtype = _READERS[version](start)
    if dtype.kind not in "fiub" or dtype.itemsize > 8:
        raise ValueError(f"it holds {str(dtype)[:60]}, not numbers")
    if len(shape) > _MAX_AXES or any(type(size) is not int or not 0 <= size < 2**48 for size in shape):
        raise ValueError(f"its shape is {str(shape)[:60]}")
    return ArrayHeader(dtype, shape, fortran_order, start.tell())


def require_names(names: Collection[str], schema: Collection[str], more: bool = False) -> None:
    """Raises ArchiveError if an array of the schema is missing, or, without ``more``, if there are other arrays."""
    if missing := [name for name in schema if name not in names]:
        raise ArchiveError(f"it lacks {missing[0]!r}")
    if not more and (surplus := [name for name in names if name not in schema]):
        raise ArchiveError(f"it holds {surplus[0][:60]!r}, which does not belong in such a file")


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
        raise ArchiveError(f"it holds {others[0][:60]!r}, which is not an array")
    return [name.removesuffix(_ENDING) for name in names]


def _member_header(archive: zipfile.ZipFile, name: str) -> ArrayHeader:
    with archive.open(name + _ENDING) as member:
        try:
            header = read_header(member)
        except Exception as cause:  # NumPy raises many types for damaged headers
            raise ArchiveError(f"{name[:60]!r}: {one_line(cause)}") from cause
    if header.size != archive.getinfo(name + _ENDING).file_size:
        raise ArchiveError(f"{name[:60]!r} does not have the size of its header")
    return header


def _require_type(name: str, header: ArrayHeader, spec: ArraySpec) -> None:
    if header.dtype.kind not in spec.kinds:
        raise ArchiveError(f"{name!r} holds {header.dtype}, not {_kinds(spec.kinds)}")


def _require_shape(name: str, header: ArrayHeader, spec: ArraySpec, sizes: dict[str, int]) -> None:
    expected = tuple(sizes.get(size, size) if isinstance(size, str) else size for size in spec.shape)
    matches = len(expected) == len(header.shape)
    for required, size in zip(expected, header.shape, strict=False):
        if isinstance(required, str):
            matches = matches and sizes.setdefault(required, size) == size
        else:
            matches = matches and required == size
    if not matches:
        raise ArchiveError(f"{name!r} has the shape {header.shape}, not ({', '.join(map(str, expected))})")


def _loaded(archive: zipfile.ZipFile, name: str, spec: ArraySpec) -> np.ndarray:
    with archive.open(name + _ENDING) as member:
        array: np.ndarray = np.lib.format.read_array(member, allow_pickle=False)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ArchiveError(f"{name!r} holds NaN or infinite values")
    if array.size and spec.minimum is not None and array.min() < spec.minimum:
        raise ArchiveError(f"{name!r} holds {array.min()}, less than {spec.minimum:g}")
    if array.size and spec.maximum is not None and array.max() > spec.maximum:
        raise ArchiveError(f"{name!r} holds {array.max()}, more than {spec.maximum:g}")
    return array


def _kinds(kinds: str) -> str:
    return {FLOATS: "floating-point numbers", INTEGERS: "integers"}.get(kinds, "numbers")
