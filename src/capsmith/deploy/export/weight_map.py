"""Records where the files of an export hold the decoder's weights, so that a training can start from them.

Weights are found by their values: tf2onnx renames constants, transposes some, and cuts kernels into slices. A weight
that it folded into others is stored beside the graphs, in ``weights.npz``, in float16.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from capsmith.core.files import atomic
from capsmith.core.log import get_logger
from capsmith.core.onnx_weights import read_weights
from capsmith.core.readers.regular_files import read_bytes

logger = get_logger(__name__)

MORE = "weights.npz"
"""File of the weights that the graphs do not hold."""
GRAPHS = ("start", "step")

_TOLERANCE = {None: 0.0, "float16": 2e-3, "int8": 6e-2}  # relative to the norm
_EXACT = 256  # numbers: smaller constants stay in float32
_INT8 = 16_384  # numbers: smaller weights are at least float16

Candidates = Mapping[tuple[str, str], np.ndarray]


def write_weight_map(folder: Path, decoder: Any, quantise: str | None) -> list[dict[str, Any]]:
    """Returns an entry for each weight of a decoder, in the order of ``decoder.weights``.

    Args:
        folder: The folder with ``start.onnx`` and ``step.onnx``; ``weights.npz`` is written beside them if needed.
        decoder: The decoder.
        quantise: How the files store weights.

    Returns:
        For each weight ``path``, ``shape`` and ``parts``: pieces that follow each other along ``axis``, each with
        ``graph``, ``name`` and ``transposed``. Weights in ``weights.npz`` have ``more``, its key, instead.
    """
    constants = {
        (graph, name): array
        for graph in GRAPHS
        for name, array in read_weights(read_bytes(folder / f"{graph}.onnx"), folder / f"{graph}.onnx").items()
    }
    entries: list[dict[str, Any]] = []
    more: dict[str, Any] = {}
    for number, weight in enumerate(decoder.weights):
        value = np.asarray(keras.ops.convert_to_numpy(weight), np.float32)
        entry: dict[str, Any] = {"path": weight.path, "shape": list(value.shape)}
        found = find_weight(value, constants, quantise)
        if found is None:
            key = f"weight_{number}"
            more[key] = value.astype(np.float16 if np.abs(value).max(initial=0) < 6e4 else np.float32)
            entry["more"] = key
        else:
            entry |= found
        entries.append(entry)
    if more:
        with atomic(folder / MORE, "wb") as file:
            np.savez_compressed(file, **more)
        size = (folder / MORE).stat().st_size
        logger.info(f"export: {len(more)} of {len(entries)} decoder weights are stored in {MORE} ({size:,} bytes)")
    return entries


def find_weight(value: np.ndarray, constants: Candidates, quantise: str | None) -> dict[str, Any] | None:
    """Returns where a weight is stored, ``axis`` and ``parts``; None if it is not.

    Args:
        value: The weight.
        constants: Arrays by graph and name.
        quantise: How they were stored.
    """
    for axis in range(max(1, value.ndim)):
        parts: list[dict[str, Any]] = []
        place, size = 0, value.shape[axis] if value.ndim else 1
        while place < size:
            piece = _best(value, axis, place, constants, quantise)
            if piece is None:
                break
            part, length = piece
            parts.append(part)
            place += length
        if parts and place == size:
            return {"axis": axis, "parts": parts}
    return None


def _best(
    value: np.ndarray, axis: int, place: int, constants: Candidates, quantise: str | None
) -> tuple[dict[str, Any], int] | None:
    """Returns the closest constant that continues a weight at a place along an axis, and its length."""
    found: list[tuple[int, float, dict[str, Any]]] = []
    for (graph, name), constant in constants.items():
        for transposed in (False, True)[: 2 if constant.ndim == 2 else 1]:
            array = constant.T if transposed else constant
            length = _length(array.shape, value.shape, axis)
            if length is None or place + length > (value.shape[axis] if value.ndim else 1):
                continue
            expected = np.take(value, range(place, place + length), axis) if value.ndim else value
            error = _error(expected, array)
            if error <= _tolerance(array.size, quantise):
                found.append((-length, error, {"graph": graph, "name": name, "transposed": transposed}))
    if not found:
        return None
    length, _, part = min(found, key=lambda entry: entry[:2])
    return part, -length


def _length(found: Sequence[int], needed: Sequence[int], axis: int) -> int | None:
    """Returns the length of a piece along the axis; None if its other sides do not fit."""
    if len(found) != len(needed):
        return None
    if not needed:
        return 1
    others = [side for number, side in enumerate(found) if number != axis]
    return found[axis] if others == [side for number, side in enumerate(needed) if number != axis] else None


def _error(expected: np.ndarray, found: np.ndarray) -> float:
    norm = float(np.linalg.norm(expected))
    return float(np.linalg.norm(found - expected)) / norm if norm else float(np.abs(found).max(initial=0))


def _tolerance(size: int, quantise: str | None) -> float:
    if quantise is None or size < _EXACT:
        return 0.0
    return _TOLERANCE["float16" if size < _INT8 else quantise]
