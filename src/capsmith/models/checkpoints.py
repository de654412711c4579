"""Weights and training state on disk, written atomically.

Weights are Keras HDF5 files. The state from which ``--resume`` continues is one ``.npz`` with the arrays of all
variables (weights, optimizer, dropout seeds) and the progress as JSON. Neither can execute code.
"""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from capsmith.core.errors import CheckpointError, FeatureError, one_line
from capsmith.core.files import atomic
from capsmith.core.readers.arrays import FLOATS, INTEGERS, ArrayHeader, ArraySpec, read_array, read_arrays, read_headers
from capsmith.core.readers.json_files import parse_json
from capsmith.core.readers.regular_files import describe_special
from capsmith.vision.weights import first_not_finite, load_strictly, replacing, require_readable


def save_weights(model: keras.Model, path: Path) -> None:
    """Writes a model's weights as ``….weights.h5``, atomically.

    Raises:
        CheckpointError: The disk is full, or the folder is not writable.
    """
    with replacing(path, model) as temporary:
        model.save_weights(temporary)


def load_weights(model: keras.Model, path: Path) -> None:
    """Loads weights that ``save_weights`` wrote into a built model.

    Raises:
        CheckpointError: The file is missing or damaged, or belongs to a model of other sizes.
    """
    if special := describe_special(path):
        raise CheckpointError(f"{path}: {special}: the run is damaged; copy it again, or train again")
    if not path.is_file():
        raise CheckpointError(f"{path} is missing: the training has no checkpoint yet, or the file was removed")
    require_readable(path, "", CheckpointError)
    try:
        load_strictly(model, path)
    except FeatureError as error:
        raise CheckpointError(
            f"{path} is damaged, or not a Keras weights file: copy it again, or train again"
        ) from error
    except Exception as error:  # Keras and h5py raise almost any exception for damaged files
        raise CheckpointError(f"{path} is damaged, or of another model: {one_line(error)[:200]}") from error
    if first_not_finite(model):
        raise CheckpointError(f"{path} is damaged: it contains NaN or infinite weights; copy it again, or train again")


def save_state(path: Path, model: keras.Model, progress: dict[str, Any]) -> None:
    """Writes all variables of a compiled model, and the progress, atomically."""
    arrays = {f"v{index}": ops.convert_to_numpy(v) for index, v in enumerate(_variables(model))}
    text = np.frombuffer(json.dumps(progress).encode(), np.uint8)
    with atomic(path, "wb") as file:
        np.savez(file, progress=text, **arrays)


def load_state(path: Path, model: keras.Model) -> dict[str, Any]:
    """Restores all variables of a compiled model that ``save_state`` wrote, and returns the progress.

    Raises:
        CheckpointError: The file is damaged, or belongs to another model.
    """
    variables = _variables(model)
    headers = read_headers(path, CheckpointError, _ADVICE)
    if _is_state(headers) and [h.shape for h in headers.values()] != [tuple(v.shape) for v in variables]:
        raise CheckpointError(f"{path} belongs to another model: train into another --run directory")
    schema = {f"v{n}": ArraySpec(_kinds(v), tuple(v.shape)) for n, v in enumerate(variables)}
    saved = read_arrays(path, {_PROGRESS: _BYTES, **schema}, CheckpointError, _ADVICE)
    progress = _parsed(path, saved.pop(_PROGRESS))
    for variable, array in zip(variables, saved.values(), strict=True):
        variable.assign(array)
    return progress


def read_progress(path: Path) -> dict[str, Any]:
    """Returns the progress that ``save_state`` wrote, without a model.

    Raises:
        CheckpointError: The file is damaged.
    """
    return _parsed(path, read_array(path, _PROGRESS, _BYTES, CheckpointError, _ADVICE))


_ADVICE = "remove it to train from the start"
_PROGRESS = "progress"
_BYTES = ArraySpec(INTEGERS, ("length",), minimum=0, maximum=255)


def _is_state(headers: dict[str, ArrayHeader]) -> bool:
    """Removes the progress; returns whether the other arrays are the variables of a model, in order."""
    return headers.pop(_PROGRESS, None) is not None and [*headers] == [f"v{n}" for n in range(len(headers))]


def _kinds(variable: Any) -> str:
    return FLOATS if "float" in str(variable.dtype) else "b" if str(variable.dtype) == "bool" else INTEGERS


def _parsed(path: Path, progress: np.ndarray) -> dict[str, Any]:
    try:
        content = parse_json(progress.astype(np.uint8).tobytes())
        if not isinstance(content, dict):
            raise ValueError("its progress is not a mapping")
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged: {one_line(error)}; {_ADVICE}") from error
    return content


def _variables(model: keras.Model) -> list[Any]:
    """Returns all variables that training changes: weights, batch statistics, dropout seeds, optimizer."""
    metrics = {id(v) for v in model.metrics_variables}
    return [*(v for v in model.variables if id(v) not in metrics), *model.optimizer.variables]
