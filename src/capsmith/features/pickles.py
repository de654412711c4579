"""Reads pickles of numpy arrays, and of nothing else.

A pickle is a program. This reader runs only the instructions that rebuild numpy arrays, str, numbers, dict, list and
tuple; a file that asks for anything else is refused before it gets it.
"""

import pickle  # noqa: S403
import pickletools
from collections.abc import Callable
from typing import IO, Any

import numpy as np

from capsmith.errors import FeatureError


def load_arrays(file: IO[bytes], name: str) -> Any:
    """Reads a pickle that holds only arrays and plain containers.

    Args:
        file: Opened for reading in binary.
        name: What messages call it.

    Returns:
        What was pickled.

    Raises:
        FeatureError: The file is damaged, or asks for anything but numpy arrays and plain containers.
    """
    try:
        _require_sane(file)
        return _Arrays(file).load()
    except FeatureError as error:
        raise FeatureError(f"{name}: {error}") from error
    except Exception as error:  # a damaged pickle fails in as many ways as there are instructions
        raise FeatureError(f"{name}: damaged pickle ({type(error).__name__}); extract the features again") from error


def _require_sane(file: IO[bytes]) -> None:
    """Refuses what takes memory without holding anything: numbered places far beyond those that are used."""
    start = file.tell()
    for count, (instruction, argument, _) in enumerate(pickletools.genops(file)):
        if instruction.name.endswith("PUT") and int(argument or 0) > count:
            raise FeatureError("refused: this pickle asks for more memory than it can fill")
    file.seek(start)


class _Arrays(pickle.Unpickler):
    """Offers look-alikes of numpy's rebuilding functions, so that nothing real can be called or changed."""

    def find_class(self, module: str, name: str) -> Any:
        base = module.removeprefix("numpy.").removeprefix("_core.").removeprefix("core.")
        if module.startswith("numpy") and (base, name) in _ALLOWED:
            return _ALLOWED[base, name]()
        if (module, name) == ("_codecs", "encode"):  # how protocols 0–2 write bytes
            return lambda text, encoding: text.encode("latin-1")
        if (module, name) == ("__builtin__", "bytes"):  # the same, for no bytes at all
            return lambda: b""
        raise FeatureError(f"refused: this pickle asks for {module}.{name}; only numpy arrays are read")


def _reconstruct() -> Callable[..., np.ndarray]:
    return lambda kind, shape, typecode: np.ndarray((0,), np.uint8)  # its contents follow as state


def _frombuffer() -> Callable[..., np.ndarray]:
    def build(buffer: Any, dtype: np.dtype, shape: tuple[int, ...], order: str) -> np.ndarray:
        return np.frombuffer(buffer, dtype=dtype).reshape(shape, order=order)  # type: ignore[call-overload]

    return build


def _dtype() -> Callable[..., np.dtype]:
    def build(code: str, *_: bool) -> np.dtype:
        found = np.dtype(str(code), copy=True)  # its byte order follows as state; the shared object stays as it is
        if found.hasobject or found.names:
            raise FeatureError(f"refused: this pickle holds arrays of {found}; only numbers are read")
        return found

    return build


_ALLOWED: dict[tuple[str, str], Callable[[], Any]] = {
    ("multiarray", "_reconstruct"): _reconstruct,
    ("numeric", "_frombuffer"): _frombuffer,
    ("numpy", "dtype"): _dtype,
    ("numpy", "ndarray"): lambda: None,  # only ever an argument of _reconstruct, which ignores it
}
