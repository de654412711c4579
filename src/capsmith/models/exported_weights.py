"""Reads the weights of a decoder back from an export, for a training that starts from it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from capsmith.core.errors import CheckpointError
from capsmith.core.onnx_weights import read_weights
from capsmith.core.readers.arrays import FLOATS, ArraySpec, read_arrays, read_headers
from capsmith.core.readers.regular_files import read_bytes
from capsmith.models.export_folder import ExportFolder
from capsmith.models.export_manifest import ADVICE

_MOST_WEIGHTS, _MOST_PARTS, _MOST_AXES, _MOST_NUMBERS = 1000, 16, 4, 2**30


def decoder_weights(folder: ExportFolder) -> list[np.ndarray]:
    """Returns the weights of an export's decoder in the order of Keras, as float32.

    Weights of an int8 export are rounded: they differ from the run's by up to half a step of their channel.

    Args:
        folder: An export of one model, as ONNX.

    Raises:
        CheckpointError: The export is damaged, holds several models, or was made by a version that did not record
            where its weights are.
    """
    folder.verify()
    members = folder.manifest.members
    if len(members) != 1:
        raise CheckpointError(f"{folder} is an ensemble of {len(members)} models: weights come from an export of one")
    (member,) = members
    if member.weights is None:
        raise CheckpointError(f"{folder} does not say where its weights are: {ADVICE} with this version")
    graphs = {
        graph: read_weights(_content(folder.path / file), folder.path / file)
        for graph, file in (("start", member.start), ("step", member.step))
    }
    try:
        if not isinstance(member.weights, list) or not 1 <= len(member.weights) <= _MOST_WEIGHTS:
            raise ValueError(f"it is not a list of 1 to {_MOST_WEIGHTS} entries")
        entries = [_checked(entry) for entry in member.weights]
        more = _more(folder, [entry["more"] for entry in entries if "more" in entry])
        return [_weight(entry, graphs, more) for entry in entries]
    except (ValueError, KeyError) as error:
        raise CheckpointError(f"{folder}: its list of weights is damaged: {error}; {ADVICE}") from error


def _content(path: Path) -> bytes:
    try:
        return read_bytes(path)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}; {ADVICE}") from error


def _checked(entry: Any) -> dict[str, Any]:
    shape = entry.get("shape") if isinstance(entry, dict) else None
    if not isinstance(shape, list) or len(shape) > _MOST_AXES or not all(type(side) is int for side in shape):
        raise ValueError("an entry has no shape")
    if any(side < 0 for side in shape) or np.prod(shape, dtype=float) > _MOST_NUMBERS:
        raise ValueError(f"an entry has the shape {shape}")
    if "more" in entry:
        if not isinstance(entry["more"], str):
            raise ValueError("more is not a name")
        return dict(entry)
    parts = entry.get("parts")
    if not isinstance(parts, list) or not 1 <= len(parts) <= _MOST_PARTS:
        raise ValueError(f"an entry has no parts, or more than {_MOST_PARTS}")
    if type(axis := entry.get("axis")) is not int or not 0 <= axis < max(1, len(shape)):
        raise ValueError(f"an entry has the axis {axis!r:.40}")
    for part in parts:
        names = [part.get(key) for key in ("graph", "name")] if isinstance(part, dict) else []
        if len(names) != 2 or not all(isinstance(name, str) for name in names):
            raise ValueError("a part has no graph or no name")
    return dict(entry)


def _weight(
    entry: Mapping[str, Any], graphs: Mapping[str, Mapping[str, np.ndarray]], more: Mapping[str, np.ndarray]
) -> np.ndarray:
    if "more" in entry:
        value = more[entry["more"]].astype(np.float32)
    else:
        parts = [_part(part, graphs) for part in entry["parts"]]
        value = np.concatenate(parts, entry["axis"]) if len(parts) > 1 else parts[0]
    if list(value.shape) != entry["shape"] or not np.isfinite(value).all():
        path = str(entry.get("path"))[:80]
        raise ValueError(f"{path!r} is {list(value.shape)} instead of {entry['shape']}, or not finite")
    return value


def _part(part: Mapping[str, Any], graphs: Mapping[str, Mapping[str, np.ndarray]]) -> np.ndarray:
    constants = graphs.get(part["graph"], {})
    if part["name"] not in constants:
        raise ValueError(f"{part['graph']:.40} has no constant {part['name']!r:.80}")
    array = constants[part["name"]]
    return array.T if part.get("transposed") is True else array


def _more(folder: ExportFolder, names: list[str]) -> dict[str, np.ndarray]:
    """Reads the weights that the graphs do not hold."""
    if not names:
        return {}
    parent = folder.manifest.members[0].start.rpartition("/")[0]
    file = f"{parent}/weights.npz" if parent else "weights.npz"
    if file not in folder.manifest.files:
        raise ValueError(f"files lacks {file}")
    path = folder.path / file
    headers = read_headers(path, CheckpointError, ADVICE)
    if missing := [name for name in names if name not in headers]:
        raise ValueError(f"{file} lacks {missing[0]!r:.60}")
    schema = {name: ArraySpec(FLOATS, headers[name].shape) for name in headers}
    return dict(read_arrays(path, schema, CheckpointError, ADVICE))
