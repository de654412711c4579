"""Gets weights into an encoder: from a file of whatever extent, from keras.applications, or at random."""

import contextlib
import errno
import math
import os
import shutil
import warnings
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from capsmith.core.errors import CapsmithError, CheckpointError, FeatureError, because, one_line
from capsmith.core.readers.archives import ArchiveError, open_archive, read_member
from capsmith.core.readers.regular_files import describe_special
from capsmith.core.temporary import temporary_folder

_OPTIMIZER = ("optimizer", "optimizer_weights")
_LARGEST = 2**33  # bytes of the weights in a .keras file, which are held in memory


def count_numbers(path: Path) -> int:
    """Returns how many numbers a weights file holds, the optimizer's and random generators' states left out.

    Args:
        path: ``.weights.h5``, ``.h5`` or ``.keras``.

    Raises:
        FeatureError: It is missing, or no Keras weights file.
    """
    _require_file(path)
    total = 0

    def add(name: str, item: Any) -> None:
        nonlocal total
        parts = name.split("/")
        if isinstance(item, h5py.Group):
            _require_own(item)
        elif parts[0] not in _OPTIMIZER and "seed_generator" not in name:
            total += _count(name, item)

    try:
        with h5py.File(_h5_part(path), "r") as file:
            _require_own(file)
            file.visititems(add)
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        why = f" ({one_line(error)[:200]})" if isinstance(error, ArchiveError) else ""
        raise FeatureError(f"encoder weights {path}: damaged, or not a Keras weights file{why}") from error
    return total


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise FeatureError(f"encoder weights {path}: {describe_special(path) or 'no such file'}")
    require_readable(path, "encoder weights ", FeatureError)


def require_readable(path: Path, what: str, error: type[CapsmithError]) -> None:
    """Raises an error that says why a file cannot be opened: HDF5 and Keras would call it damaged."""
    try:
        path.open("rb").close()
    except OSError as cause:
        raise error(f"cannot read {what}{path}: {because(cause)}") from cause


def _h5_part(path: Path) -> Path | BytesIO:
    if path.suffix != ".keras":
        return path
    with open_archive(path) as archive:
        return BytesIO(read_member(archive, "model.weights.h5", _LARGEST))


def _require_own(group: h5py.Group) -> None:
    """Raises ArchiveError where a group holds links, which may lead to any file, or back to itself."""
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ArchiveError(f"{name[:60]!r} is a link")


def _count(name: str, item: h5py.Dataset) -> int:
    """Returns how many numbers an array has, its shape as the file says: nothing is loaded."""
    if item.external or item.is_virtual:
        raise ArchiveError(f"{name[-60:]!r} lies in another file")
    if item.dtype.kind not in "fiub" and item.dtype != np.dtype("V2"):  # bfloat16
        raise ArchiveError(f"{name[-60:]!r} holds {str(item.dtype)[:60]}, not numbers")
    return math.prod(item.shape)


def load_file(model: keras.Model, path: Path) -> None:
    """Loads a weights file whose extent is exactly the model's.

    Raises:
        FeatureError: Its layers are not the model's, or its name hides its format.
    """
    _require_file(path)
    if path.suffix != ".keras":
        try:
            with h5py.File(path, "r") as file:
                old = "layer_names" in file.attrs or "model_weights" in file
        except OSError as error:
            raise FeatureError(f"encoder weights {path}: damaged, or not a Keras weights file") from error
        if old == path.name.endswith(".weights.h5"):
            named = (
                ".h5, not .weights.h5 (it is in Keras 2's format)" if old else ".weights.h5 (it is in Keras 3's format)"
            )
            raise FeatureError(f"encoder weights {path}: Keras goes by the name; rename it to end in {named}")
    try:
        load_strictly(model, path)
    except Exception as error:  # Keras raises many kinds; all mean that the file does not fit
        raise FeatureError(f"encoder weights {path} do not fit {model.name}: {one_line(error)[:200]}") from error
    if wrong := not_finite(model):
        raise FeatureError(f"encoder weights {path} are damaged: {wrong} holds values that are no numbers")


def not_finite(model: keras.Model) -> str | None:
    """Returns the name of a weight that holds NaN or infinity; None when all are finite."""
    weights = (weight for weight in model.weights if "float" in str(weight.dtype))
    return next((w.path for w in weights if not np.isfinite(keras.ops.convert_to_numpy(w)).all()), None)


def load_strictly(model: keras.Model, path: Path) -> None:
    """Loads a weights file that must hold exactly the model's weights.

    Keras itself passes over layers that a file has beyond the model's, and over layers in lists that it lacks: those
    would keep random weights.

    Raises:
        ValueError: The file holds more or less; or whatever Keras raises.
    """
    numbers, expected = count_numbers(path), size_of(model)
    if numbers != expected:
        raise ValueError(f"it holds {numbers:,} numbers, the model {expected:,}")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Skipping nested container")
        model.load_weights(path)


@contextlib.contextmanager
def replacing(path: Path, model: keras.Model) -> Iterator[Path]:
    """Gives a name with the same ending, which becomes ``path`` when all is written; Keras goes by the ending.

    Args:
        path: The final name; its folder is made when missing.
        model: What will be written.

    Raises:
        CheckpointError: The disk is full, or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(path) as folder:
            temporary = folder / path.name
            _reserve(temporary, 4 * size_of(model) + _HDF5_BYTES * (1 + len(model.weights)))
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or one_line(error)
        raise CheckpointError(f"cannot write {path}: {why}") from error


_HDF5_BYTES = 16_384  # of groups and tables around each array; measured: 11,000


def _reserve(path: Path, size: int) -> None:
    """Raises OSError when ``size`` bytes cannot be had: HDF5 meets a full disk with a screen of tracebacks."""
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        elif shutil.disk_usage(path.parent).free < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def size_of(model: keras.Model) -> int:
    """Returns how many numbers a model's weights hold."""
    return sum(int(np.prod(weight.shape)) for weight in model.weights)


def draw(model: keras.Model, seed: int) -> None:
    """Gives every kernel fixed random values of variance 1 / inputs, the same on every machine and backend.

    A frozen random encoder must give the same features each time it is built, or its cache would mean nothing.
    """
    random = np.random.default_rng(seed)
    for weight in model.weights:
        shape = tuple(int(n) for n in weight.shape)
        if len(shape) < 2:
            continue
        depthwise = len(shape) == 4 and shape[-1] == 1
        inputs = np.prod(shape[:2]) if depthwise else np.prod(shape[:-1])
        weight.assign(random.normal(0, 1 / np.sqrt(inputs), shape).astype(np.float32))
