"""Reads pickles of numpy arrays without running code from them.

A pickle is a program. This reader runs only the instructions that rebuild numpy arrays, str, numbers, dict, list and
tuple. A file that needs anything else is refused before that runs. The result is at most a few times as large as the
file.
"""

import os
import pickle  # noqa: S403
import pickletools
from collections.abc import Callable
from typing import IO, Any

import numpy as np

from capsmith.core.errors import FeatureError

_NUMERIC_KINDS = "biufc"  # dtype kinds: bool, int, unsigned, float, complex
_GROWTH, _SPARE = 4, 2**24  # limit of the bytes built: 4 times the file size plus 16 MB
_OTHER_FORMATS = {
    b"\x93NUMPY": "a .npy file",
    b"PK\x03\x04": "a zip or .npz file",
    b"\x89HDF": "an HDF5 file",
    b"\x1f\x8b": "compressed with gzip",
}


def load_arrays(file: IO[bytes], name: str, advice: str = "extract the features again") -> Any:
    """Reads a pickle of arrays and plain containers, in any protocol, from Python 2 or 3 and numpy 1 or 2.

    Args:
        file: A seekable file, opened for reading in binary mode.
        name: Name of the file in messages.
        advice: Advice for a damaged file.

    Returns:
        The pickled value. Its arrays belong to a subclass of ``np.ndarray``.

    Raises:
        FeatureError: The file is damaged, or contains anything but numpy arrays and plain containers.
    """
    try:
        _refuse_other_formats(file)
        _refuse_sparse_memo(file)
        return _Arrays(file).load()
    except FeatureError as error:
        raise FeatureError(f"{name}: {error}") from error
    except Exception as error:  # a damaged pickle can raise nearly every kind of exception
        raise FeatureError(f"{name}: damaged pickle ({type(error).__name__}); {advice}") from error


def _refuse_other_formats(file: IO[bytes]) -> None:
    """Raises FeatureError for the signatures of other formats."""
    start = file.tell()
    head = file.read(8)
    file.seek(start)
    for signature, format_name in _OTHER_FORMATS.items():
        if head.startswith(signature):
            raise FeatureError(f"is {format_name}, not a pickle")


def _refuse_sparse_memo(file: IO[bytes]) -> None:
    """Raises FeatureError for memo indices far beyond those in use, for which the unpickler would allocate memory."""
    start = file.tell()
    for count, (instruction, argument, _) in enumerate(pickletools.genops(file)):
        if instruction.name.endswith("PUT") and int(argument or 0) > count:
            raise FeatureError("refused: this pickle needs more memory than its contents")
    file.seek(start)


class _Arrays(pickle.Unpickler):
    """An unpickler with stand-ins for numpy's functions: no real function can be called or changed."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, encoding="latin1")  # Python 2 pickles store the bytes of arrays as str
        start = file.tell()
        size = file.seek(0, os.SEEK_END) - start
        file.seek(start)
        self._budget = _GROWTH * size + _SPARE

    def find_class(self, module: str, name: str) -> Any:
        base = module.removeprefix("numpy.").removeprefix("_core.").removeprefix("core.")
        if module.startswith("numpy") and (base, name) in _ALLOWED:
            return _ALLOWED[base, name](self._spend)
        if (module, name) == ("_codecs", "encode"):  # protocols 0–2 write bytes this way
            return self._encode
        if (module, name) == ("__builtin__", "bytes"):  # and empty bytes this way
            return lambda: b""
        if (module, name) == ("collections", "OrderedDict"):
            return lambda pairs=(): dict(pairs)
        raise FeatureError(f"refused: this pickle calls {module}.{name}; only numpy arrays are read")

    def _encode(self, text: str, encoding: str) -> bytes:
        self._spend(len(text))
        return text.encode("latin-1")

    def _spend(self, size: int) -> None:
        """Counts the bytes that are built: a few instructions could copy the same bytes again and again."""
        self._budget -= size
        if self._budget < 0:
            raise FeatureError("refused: this pickle needs more memory than its contents")


Spend = Callable[[int], None]


class _Dtype:
    """Stand-in for a numpy dtype. Its byte order follows as state."""

    def __init__(self, code: Any, *_: Any) -> None:
        self.dtype = np.dtype(str(code))
        if self.dtype.kind not in _NUMERIC_KINDS:
            raise FeatureError(f"refused: this pickle contains arrays of {self.dtype}; only numbers are read")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray):
    """An array that can only be rebuilt from bytes and a numeric dtype."""

    spend: Spend

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        shape, dtype, fortran, content = state[-4:]
        if not isinstance(content, bytes | str):
            raise FeatureError("refused: this pickle contains arrays without bytes")
        self.spend(len(content))
        del self.spend  # it references the unpickler, and so everything that was read
        content = content.encode("latin-1") if isinstance(content, str) else content
        super().__setstate__((1, tuple(shape), _numpy_dtype(dtype), bool(fortran), content))  # type: ignore[arg-type]


def _numpy_dtype(dtype: Any) -> np.dtype:
    if not isinstance(dtype, _Dtype):
        raise FeatureError("refused: this pickle contains arrays without a dtype")
    return dtype.dtype


def _reconstruct(spend: Spend) -> Callable[..., np.ndarray]:
    def build(kind: Any, shape: Any, typecode: Any) -> np.ndarray:
        array = _Array((0,), np.uint8)  # its content follows as state
        array.spend = spend
        return array

    return build


def _frombuffer(spend: Spend) -> Callable[..., np.ndarray]:
    def build(buffer: Any, dtype: Any, shape: tuple[int, ...], order: str) -> np.ndarray:
        return np.frombuffer(buffer, dtype=_numpy_dtype(dtype)).reshape(shape, order=order)  # type: ignore[call-overload]

    return build


_ALLOWED: dict[tuple[str, str], Callable[[Spend], Any]] = {
    ("multiarray", "_reconstruct"): _reconstruct,
    ("numeric", "_frombuffer"): _frombuffer,
    ("numpy", "dtype"): lambda spend: _Dtype,
    ("numpy", "ndarray"): lambda spend: None,  # only ever an argument of _reconstruct, which ignores it
}
