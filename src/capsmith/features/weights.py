"""Gets weights into an encoder: from a file of whatever extent, from keras.applications, or at random."""

import contextlib
import errno
import os
import shutil
import warnings
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from capsmith.errors import CapsmithError, CheckpointError, FeatureError, because, one_line
from capsmith.temporary import temporary_folder

_OPTIMIZER = ("optimizer", "optimizer_weights")


def count_numbers(path: Path) -> int:
    """Returns how many numbers a weights file holds, the optimizer's and random generators' states left out.

    Args:
        path: ``.weights.h5``, ``.h5`` or ``.keras``.

    Raises:
        FeatureError: It is missing, or no Keras weights file.
    """
    if not path.is_file():
        raise FeatureError(f"encoder weights {path}: no such file")
    require_readable(path, "encoder weights ", FeatureError)
    total = 0

    def add(name: str, item: Any) -> None:
        nonlocal total
        parts = name.split("/")
        if isinstance(item, h5py.Dataset) and parts[0] not in _OPTIMIZER and "seed_generator" not in name:
            total += int(np.prod(item.shape))

    try:
        with h5py.File(_h5_part(path), "r") as file:
            file.visititems(add)
    except (OSError, KeyError, RuntimeError, zipfile.BadZipFile) as error:
        raise FeatureError(f"encoder weights {path}: damaged, or not a Keras weights file") from error
    return total


def require_readable(path: Path, what: str, error: type[CapsmithError]) -> None:
    """Raises an error that says why a file cannot be opened: HDF5 and Keras would call it damaged."""
    try:
        path.open("rb").close()
    except OSError as cause:
        raise error(f"cannot read {what}{path}: {because(cause)}") from cause


def _h5_part(path: Path) -> Path | BytesIO:
    if path.suffix != ".keras":
        return path
    with zipfile.ZipFile(path) as archive:
        return BytesIO(archive.read("model.weights.h5"))


def load_file(model: keras.Model, path: Path) -> None:
    """Loads a weights file whose extent is exactly the model's.

    Raises:
        FeatureError: Its layers are not the model's, or its name hides its format.
    """
    require_readable(path, "encoder weights ", FeatureError)
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
