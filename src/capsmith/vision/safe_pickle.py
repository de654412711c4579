"""Reads pickles of numpy arrays, and of nothing else.

A pickle is a program. This reader runs only the instructions that rebuild numpy arrays, str, numbers, dict, list and
tuple; a file that asks for anything else is refused before it gets it. What it builds is never more than a few times
the file's size.
"""

import os
import pickle  # noqa: S403
import pickletools
from collections.abc import Callable
from typing import IO, Any

import numpy as np

from capsmith.core.errors import FeatureError

_NUMBERS = "biufc"  # kinds of dtype: bool, int, unsigned, float, complex
_GROWTH, _SPARE = 4, 2**24  # bytes built: at most so many times the file's size, and 16 MB
_OTHER_FORMATS = {
    b"\x93NUMPY": "a .npy file",
    b"PK\x03\x04": "a zip or .npz file",
    b"\x89HDF": "an HDF5 file",
    b"\x1f\x8b": "compressed with gzip",
}


def load_arrays(file: IO[bytes], name: str, advice: str = "extract the features again") -> Any:
    """Reads a pickle that holds only arrays and plain containers, of any protocol, of Python 2 or 3, numpy 1 or 2.

    Args:
        file: Opened for reading in binary; must be seekable.
        name: What messages call it.
        advice: What to do about a damaged file.

    Returns:
        What was pickled; arrays are of a subclass of ``np.ndarray``.

    Raises:
        FeatureError: The file is damaged, or asks for anything but numpy arrays and plain containers.
    """
    try:
        _require_pickle(file)
        _require_sane(file)
        return _Arrays(file).load()
    except FeatureError as error:
        raise FeatureError(f"{name}: {error}") from error
    except Exception as error:  # a damaged pickle fails in as many ways as there are instructions
        raise FeatureError(f"{name}: damaged pickle ({type(error).__name__}); {advice}") from error


def _require_pickle(file: IO[bytes]) -> None:
    """Refuses what is evidently another format."""
    start = file.tell()
    head = file.read(8)
    file.seek(start)
    for sign, format_name in _OTHER_FORMATS.items():
        if head.startswith(sign):
            raise FeatureError(f"is {format_name}, not a pickle")


def _require_sane(file: IO[bytes]) -> None:
    """Refuses what takes memory without holding anything: numbered places far beyond those that are used."""
    start = file.tell()
    for count, (instruction, argument, _) in enumerate(pickletools.genops(file)):
        if instruction.name.endswith("PUT") and int(argument or 0) > count:
            raise FeatureError("refused: this pickle asks for more memory than it can fill")
    file.seek(start)


class _Arrays(pickle.Unpickler):
    """Offers look-alikes of numpy's rebuilding functions, so that nothing real can be called or changed."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, encoding="latin1")  # the arrays' bytes are str in pickles of Python 2
        start = file.tell()
        size = file.seek(0, os.SEEK_END) - start
        file.seek(start)
        self._left = _GROWTH * size + _SPARE

    def find_class(self, module: str, name: str) -> Any:
        base = module.removeprefix("numpy.").removeprefix("_core.").removeprefix("core.")
        if module.startswith("numpy") and (base, name) in _ALLOWED:
            return _ALLOWED[base, name](self._take)
        if (module, name) == ("_codecs", "encode"):  # how protocols 0–2 write bytes
            return self._encode
        if (module, name) == ("__builtin__", "bytes"):  # the same, for no bytes at all
            return lambda: b""
        if (module, name) == ("collections", "OrderedDict"):
            return lambda pairs=(): dict(pairs)
        raise FeatureError(f"refused: this pickle asks for {module}.{name}; only numpy arrays are read")

    def _encode(self, text: str, encoding: str) -> bytes:
        self._take(len(text))
        return text.encode("latin-1")

    def _take(self, size: int) -> None:
        """Counts bytes that are built: a few instructions could copy the same ones again and again."""
        self._left -= size
        if self._left < 0:
            raise FeatureError("refused: this pickle asks for more memory than it can fill")


Take = Callable[[int], None]


class _Dtype:
    """Stands for a numpy dtype; its byte order follows as state."""

    def __init__(self, code: Any, *_: Any) -> None:
        self.dtype = np.dtype(str(code))
        if self.dtype.kind not in _NUMBERS:
            raise FeatureError(f"refused: this pickle holds arrays of {self.dtype}; only numbers are read")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray):
    """An array that rebuilds itself only from bytes and a dtype of numbers."""

    spend: Take

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        shape, dtype, fortran, content = state[-4:]
        if not isinstance(content, bytes | str):
            raise FeatureError("refused: this pickle holds arrays without bytes")
        self.spend(len(content))
        del self.spend  # it holds the unpickler, and with it everything that was read
        content = content.encode("latin-1") if isinstance(content, str) else content
        super().__setstate__((1, tuple(shape), _of(dtype), bool(fortran), content))  # type: ignore[arg-type]


def _of(dtype: Any) -> np.dtype:
    if not isinstance(dtype, _Dtype):
        raise FeatureError("refused: this pickle holds arrays without a dtype")
    return dtype.dtype


def _reconstruct(take: Take) -> Callable[..., np.ndarray]:
    def build(kind: Any, shape: Any, typecode: Any) -> np.ndarray:
        array = _Array((0,), np.uint8)  # its contents follow as state
        array.spend = take
        return array

    return build


def _frombuffer(take: Take) -> Callable[..., np.ndarray]:
    def build(buffer: Any, dtype: Any, shape: tuple[int, ...], order: str) -> np.ndarray:
        return np.frombuffer(buffer, dtype=_of(dtype)).reshape(shape, order=order)  # type: ignore[call-overload]

    return build


_ALLOWED: dict[tuple[str, str], Callable[[Take], Any]] = {
    ("multiarray", "_reconstruct"): _reconstruct,
    ("numeric", "_frombuffer"): _frombuffer,
    ("numpy", "dtype"): lambda take: _Dtype,
    ("numpy", "ndarray"): lambda take: None,  # only ever an argument of _reconstruct, which ignores it
}
