"""Reads, checks, writes and draws the weights of Keras models."""

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
_MAX_BYTES = 2**33  # of the weights in a .keras file, which are held in memory


def count_numbers(path: Path) -> int:
    """Returns how many numbers a weights file holds, excluding the state of optimizer and random generators.

    Args:
        path: ``.weights.h5``, ``.h5`` or ``.keras``.

    Raises:
        FeatureError: The file is missing, or is not a Keras weights file.
    """
    _require_file(path)
    total = 0

    def add(name: str, item: Any) -> None:
        nonlocal total
        parts = name.split("/")
        if isinstance(item, h5py.Group):
            _refuse_links(item)
        elif parts[0] not in _OPTIMIZER and "seed_generator" not in name:
            total += _count_elements(name, item)

    try:
        with h5py.File(_h5_part(path), "r") as file:
            _refuse_links(file)
            file.visititems(add)
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        reason = f" ({one_line(error)[:200]})" if isinstance(error, ArchiveError) else ""
        raise FeatureError(f"encoder weights {path}: damaged, or not a Keras weights file{reason}") from error
    return total


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise FeatureError(f"encoder weights {path}: {describe_special(path) or 'no such file'}")
    require_readable(path, "encoder weights ", FeatureError)


def require_readable(path: Path, what: str, error: type[CapsmithError]) -> None:
    """Raises an error with the reason why a file cannot be opened: HDF5 and Keras would report it as damaged."""
    try:
        path.open("rb").close()
    except OSError as cause:
        raise error(f"cannot read {what}{path}: {because(cause)}") from cause


def _h5_part(path: Path) -> Path | BytesIO:
    if path.suffix != ".keras":
        return path
    with open_archive(path) as archive:
        return BytesIO(read_member(archive, "model.weights.h5", _MAX_BYTES))


def _refuse_links(group: h5py.Group) -> None:
    """Raises ArchiveError if a group contains links, which may point to any file, or back to the group."""
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ArchiveError(f"{name[:60]!r} is a link")


def _count_elements(name: str, item: h5py.Dataset) -> int:
    """Returns the number of elements of an array from its header, without loading it."""
    if item.external or item.is_virtual:
        raise ArchiveError(f"{name[-60:]!r} is stored in another file")
    if item.dtype.kind not in "fiub" and item.dtype != np.dtype("V2"):  # bfloat16
        raise ArchiveError(f"{name[-60:]!r} holds {str(item.dtype)[:60]}, not numbers")
    return math.prod(item.shape)


def load_weights_file(model: keras.Model, path: Path) -> None:
    """Loads a weights file that holds exactly the model's layers.

    Raises:
        FeatureError: The file has other layers, or its extension does not match its format.
    """
    _require_file(path)
    if path.suffix != ".keras":
        try:
            with h5py.File(path, "r") as file:
                is_keras_2 = "layer_names" in file.attrs or "model_weights" in file
        except OSError as error:
            raise FeatureError(f"encoder weights {path}: damaged, or not a Keras weights file") from error
        if is_keras_2 == path.name.endswith(".weights.h5"):
            extension = ".h5, not .weights.h5 (Keras 2 format)" if is_keras_2 else ".weights.h5 (Keras 3 format)"
            raise FeatureError(f"encoder weights {path}: Keras goes by the extension; rename the file to {extension}")
    try:
        load_strictly(model, path)
    except Exception as error:  # Keras raises many kinds; all mean that the file does not match
        raise FeatureError(f"encoder weights {path} do not fit {model.name}: {one_line(error)[:200]}") from error
    if name := first_not_finite(model):
        raise FeatureError(f"encoder weights {path} are damaged: {name} contains NaN or infinity")


def first_not_finite(model: keras.Model) -> str | None:
    """Returns the path of the first weight that contains NaN or infinity; None if all are finite."""
    weights = (weight for weight in model.weights if "float" in str(weight.dtype))
    return next((w.path for w in weights if not np.isfinite(keras.ops.convert_to_numpy(w)).all()), None)


def load_strictly(model: keras.Model, path: Path) -> None:
    """Loads a weights file that must hold exactly the model's weights.

    Keras itself ignores surplus layers of the file, and missing layers inside lists: those would keep random weights.

    Raises:
        ValueError: The file holds more or fewer numbers. Keras's own errors are raised as well.
    """
    numbers, expected = count_numbers(path), count_parameters(model)
    if numbers != expected:
        raise ValueError(f"the file has {numbers:,} numbers, but the model has {expected:,}")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Skipping nested container")
        model.load_weights(path)


@contextlib.contextmanager
def replacing(path: Path, model: keras.Model) -> Iterator[Path]:
    """Yields a temporary path with the same extension, which is moved to ``path`` once it is written.

    Args:
        path: The final path; its folder is created when missing.
        model: The model that will be written, whose size is reserved on disk.

    Raises:
        CheckpointError: The disk is full, or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(path) as folder:
            temporary = folder / path.name
            _reserve(temporary, 4 * count_parameters(model) + _HDF5_BYTES * (1 + len(model.weights)))
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or one_line(error)
        raise CheckpointError(f"cannot write {path}: {reason}") from error


_HDF5_BYTES = 16_384  # overhead of each array; 11,000 measured


def _reserve(path: Path, size: int) -> None:
    """Reserves ``size`` bytes, or raises OSError: HDF5 reports a full disk as a long list of tracebacks."""
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        elif shutil.disk_usage(path.parent).free < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def count_parameters(model: keras.Model) -> int:
    """Returns the number of a model's parameters, trainable or not."""
    return sum(int(np.prod(weight.shape)) for weight in model.weights)


def set_random_weights(model: keras.Model, seed: int) -> None:
    """Sets every kernel to random values of variance 1 / fan-in, the same on every machine and backend.

    A frozen random encoder must give the same features each time it is built: its features are cached.
    """
    random = np.random.default_rng(seed)
    for weight in model.weights:
        shape = tuple(int(n) for n in weight.shape)
        if len(shape) < 2:
            continue
        depthwise = len(shape) == 4 and shape[-1] == 1
        fan_in = np.prod(shape[:2]) if depthwise else np.prod(shape[:-1])
        weight.assign(random.normal(0, 1 / np.sqrt(fan_in), shape).astype(np.float32))
