"""The folder of an inverted file: ``lists.json``, ``quantizer.npz`` and ``part-N.npz`` for vectors added at a time.

``lists.json`` is written last and names what belongs together, so that a folder is complete at any time. Every array
is checked before faiss sees it: a folder may be damaged or foreign.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from capsmith.core.errors import FeatureError
from capsmith.core.files import atomic, read_json, write_json
from capsmith.core.readers.arrays import FLOATS, INTEGERS, ArraySpec, read_arrays
from capsmith.retrieval.vectors.inverted_lists import InvertedLists, Quantizer

MANIFEST = "lists.json"
_FORMAT = 1
_TAG = 16  # characters of a fingerprint in names of files
_BOUND = 1e3  # of centroids and ranges: those of unit vectors are far below
_ADVICE = "delete the folder"


@dataclass(frozen=True)
class Manifest:
    """Content of ``lists.json``.

    Attributes:
        fingerprint: Of the vectors that are encoded: the first ``rows`` of those stored.
        rows: Their number.
        trained_rows: Number of vectors when the quantizer was trained.
        quantizer: Name of its file.
        parts: Names of the files with encoded vectors, in order.
        format: Version of the format.
    """

    fingerprint: str
    rows: int
    trained_rows: int
    quantizer: str
    parts: tuple[str, ...]
    format: int = _FORMAT


def read_manifest(folder: Path) -> Manifest:
    """Reads ``lists.json``; raises FeatureError if it is missing, damaged or of another version."""
    path = folder / MANIFEST
    content = read_json(path, FeatureError)
    names = set(Manifest.__dataclass_fields__)
    if not isinstance(content, dict) or set(content) != names or content["format"] != _FORMAT:
        raise FeatureError(f"{path} is of another version; {_ADVICE}")
    parts, counts = content["parts"], [content["rows"], content["trained_rows"]]
    files = [content["quantizer"], *parts] if isinstance(parts, list) else [None]
    plain = all(isinstance(name, str) and name == Path(name).name and name.endswith(".npz") for name in files)
    if not plain or not isinstance(content["fingerprint"], str) or any(type(n) is not int or n < 0 for n in counts):
        raise FeatureError(f"{path} is damaged; {_ADVICE}")
    return Manifest(**{**content, "parts": tuple(parts)})


def read(folder: Path, manifest: Manifest, size: int) -> tuple[Quantizer, list[InvertedLists]]:
    """Reads what a manifest names.

    Args:
        folder: The folder.
        manifest: Its manifest.
        size: Dimensions of the vectors.

    Raises:
        FeatureError: A file is missing or damaged, or does not fit the others.
    """
    schema = {"centroids": ArraySpec(FLOATS, ("C", size)), "ranges": ArraySpec(FLOATS, (2 * size,))}
    arrays = read_arrays(folder / manifest.quantizer, schema, FeatureError, _ADVICE)
    centroids, ranges = (np.ascontiguousarray(np.clip(arrays[name], -_BOUND, _BOUND), np.float32) for name in schema)
    if not len(centroids):
        raise FeatureError(f"{folder / manifest.quantizer} is damaged: it has no centroids; {_ADVICE}")
    schema = {
        "rows": ArraySpec(INTEGERS, ("B",), 0, max(0, manifest.rows - 1)),
        "lists": ArraySpec(INTEGERS, ("B",), 0, len(centroids) - 1),
        "codes": ArraySpec(INTEGERS, ("B", size), 0, 255),
    }
    parts = []
    for name in manifest.parts:
        arrays = read_arrays(folder / name, schema, FeatureError, _ADVICE)
        lists = arrays["lists"].astype(np.int32)
        if (np.diff(lists) < 0).any():
            raise FeatureError(f"{folder / name} is damaged: its lists are not in order; {_ADVICE}")
        parts.append(
            InvertedLists(arrays["rows"].astype(np.int64), lists, arrays["codes"].astype(np.uint8, copy=False))
        )
    rows = np.concatenate([np.empty(0, np.int64), *(part.rows for part in parts)])
    if len(rows) != manifest.rows or len(np.unique(rows)) != len(rows):
        raise FeatureError(f"{folder} is damaged: its parts hold not each row once; {_ADVICE}")
    return Quantizer(centroids, ranges), parts


def write(folder: Path, quantizer: Quantizer, lists: InvertedLists, fingerprint: str) -> None:
    """Writes an index with all its vectors in one part. Files of an earlier one are removed.

    Args:
        folder: The folder; created if missing.
        quantizer: The trained quantizer.
        lists: All vectors.
        fingerprint: Of all vectors.
    """
    tag, rows = fingerprint[:_TAG], len(lists.rows)
    manifest = Manifest(fingerprint, rows, rows, f"quantizer-{tag}.npz", (f"part-{tag}.npz",))
    _write_arrays(folder / manifest.quantizer, vars(quantizer))
    _write_arrays(folder / manifest.parts[0], vars(lists))
    _commit(folder, manifest)


def append(folder: Path, manifest: Manifest, added: InvertedLists, fingerprint: str) -> None:
    """Adds a part to a written index.

    Args:
        folder: The folder.
        manifest: Its manifest.
        added: The vectors to add.
        fingerprint: Of all vectors.
    """
    name = f"part-{fingerprint[:_TAG]}.npz"
    _write_arrays(folder / name, vars(added))
    rows = manifest.rows + len(added.rows)
    _commit(folder, replace(manifest, fingerprint=fingerprint, rows=rows, parts=(*manifest.parts, name)))


def _write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with atomic(path, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _commit(folder: Path, manifest: Manifest) -> None:
    write_json(folder / MANIFEST, asdict(manifest))
    kept = {manifest.quantizer, *manifest.parts}
    for path in folder.glob("*-*.npz"):
        if path.name not in kept and path.name.startswith(("quantizer-", "part-")):
            path.unlink(missing_ok=True)
