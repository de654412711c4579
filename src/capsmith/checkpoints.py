"""Weights and training state on disk, each file whole or not there.

Weights of a checkpoint are Keras's HDF5; the state that ``--resume`` continues from is one ``.npz`` with the arrays
of every variable (weights, optimizer, dropout seeds) and the progress as JSON. Neither can execute anything.
"""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from capsmith.arrays import read_arrays
from capsmith.errors import CheckpointError, FeatureError, one_line
from capsmith.features.weights import load_strictly, replacing
from capsmith.runs import atomic
from capsmith.text.vocabulary import Vocabulary


def save_weights(model: keras.Model, path: Path) -> None:
    """Writes a model's weights as ``….weights.h5``, atomically.

    Raises:
        CheckpointError: The disk is full, or the folder cannot be written.
    """
    with replacing(path, model) as temporary:
        model.save_weights(temporary)


def load_weights(model: keras.Model, path: Path) -> None:
    """Reads weights that ``save_weights`` wrote into a built model.

    Raises:
        CheckpointError: Missing, damaged, or of a model of other sizes.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} is missing: the training made no checkpoint yet, or it was removed")
    try:
        load_strictly(model, path)
    except FeatureError as error:
        raise CheckpointError(f"{path} is damaged, or no Keras weights file: copy it again, or train again") from error
    except Exception as error:  # Keras and h5py raise whatever a damaged byte leads to
        raise CheckpointError(f"{path} is damaged, or of another model: {one_line(error)[:200]}") from error
    if not all(np.isfinite(ops.convert_to_numpy(weight)).all() for weight in model.weights):
        raise CheckpointError(f"{path} is damaged: it holds weights that are no numbers; copy it again, or train again")


def save_state(path: Path, model: keras.Model, progress: dict[str, Any]) -> None:
    """Writes all variables of a compiled model, and the progress, atomically."""
    arrays = {f"v{index}": ops.convert_to_numpy(v) for index, v in enumerate(_variables(model))}
    text = np.frombuffer(json.dumps(progress).encode(), np.uint8)
    with atomic(path, "wb") as file:
        np.savez(file, progress=text, **arrays)


def load_state(path: Path, model: keras.Model) -> dict[str, Any]:
    """Sets all variables of a compiled model as ``save_state`` wrote them; returns the progress.

    Raises:
        CheckpointError: Damaged, or of another model.
    """
    variables = _variables(model)
    arrays, progress = _read_state(path)
    if [a.shape for a in arrays] != [tuple(v.shape) for v in variables]:
        raise CheckpointError(f"{path} is of another model: train into another --run directory")
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
    return progress


def read_progress(path: Path) -> dict[str, Any]:
    """Returns the progress that ``save_state`` wrote, without a model to set.

    Raises:
        CheckpointError: Damaged.
    """
    return _read_state(path)[1]


def _read_state(path: Path) -> tuple[list[np.ndarray], dict[str, Any]]:
    advice = "remove it to train from the start"
    saved = read_arrays(path, CheckpointError, advice)
    try:
        progress = json.loads(saved.pop("progress").tobytes())
        arrays = [saved[f"v{index}"] for index in range(len(saved))]
        if not isinstance(progress, dict):
            raise ValueError("its progress is no mapping")
    except (ValueError, KeyError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged: {one_line(error)}; {advice}") from error
    return arrays, progress


def _variables(model: keras.Model) -> list[Any]:
    """All variables that training changes: weights, batch statistics, dropout seeds, optimizer."""
    passing = {id(v) for v in model.metrics_variables}
    return [*(v for v in model.variables if id(v) not in passing), *model.optimizer.variables]


def checked_shape(about: Any, vocabulary: Vocabulary, run: Path, version: int) -> tuple[int, ...]:
    """Returns the feature shape that ``captioner.json`` says.

    Args:
        about: What the file holds.
        vocabulary: Read from beside it.
        run: Where it lies.
        version: Of its form.

    Raises:
        CheckpointError: It is damaged, or the files do not belong together.
    """
    if not isinstance(about, dict) or about.get("format") != version:
        raise CheckpointError(f"{run}/captioner.json is not of this version of capsmith, or damaged")
    if about.get("vocabulary") != vocabulary.fingerprint():
        raise CheckpointError(f"{run}/vocabulary.json is not the vocabulary that this checkpoint was trained with")
    shape = about.get("feature_shape")
    sizes: list[Any] = shape if isinstance(shape, list) and len(shape) in (1, 2) else [None]
    if not all(type(n) is int and 0 < n < 10**6 for n in sizes):
        raise CheckpointError(f"{run}/captioner.json: feature_shape is damaged")
    return tuple(sizes)
