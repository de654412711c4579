"""The file of a caption index, ``caption_index.npz``, and that of earlier versions, ``memory.npz``."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from capsmith.core.errors import CheckpointError, one_line
from capsmith.core.files import atomic
from capsmith.core.readers.arrays import FLOATS, INTEGERS, ArraySpec, read_arrays, read_headers

FILE, OLD_FILE = "caption_index.npz", "memory.npz"
Captions = tuple[tuple[tuple[int, ...], ...], ...]
_SCHEMA = {
    "vectors": ArraySpec(FLOATS, ("images", "d")),
    "mean": ArraySpec(FLOATS, ("D",)),
    "visual_projection": ArraySpec(FLOATS, ("D", "visual")),
    "semantic_projection": ArraySpec(FLOATS, ("D", "semantic")),
    "tokens": ArraySpec(INTEGERS, ("all tokens",), minimum=0),
    "lengths": ArraySpec(INTEGERS, ("captions",), minimum=0),
    "captions_per_image": ArraySpec(INTEGERS, ("images",), minimum=0),
    "concept_tokens": ArraySpec(INTEGERS, ("W",), minimum=0),
    "concept_idf": ArraySpec(FLOATS, ("W",)),
    "concept_encode": ArraySpec(FLOATS, ("D", "r")),
    "concept_decode": ArraySpec(FLOATS, ("r", "W")),
}
_OLD_NAMES = {
    "visual_projection": "projection",
    "semantic_projection": "meaning",
    "tokens": "words",
    "captions_per_image": "groups",
    "concept_tokens": "content_words",
    "concept_idf": "content_rarity",
    "concept_encode": "content_left",
    "concept_decode": "content_right",
}


def index_paths(run: Path) -> tuple[Path, Path]:
    """Returns the paths that a run's caption index may have: that of this version, and that of earlier versions."""
    return run / FILE, run / OLD_FILE


def index_path(run: Path) -> Path:
    """Returns the path of a run's caption index: an existing file of an earlier version, or that of this version."""
    new, old = index_paths(run)
    return old if old.is_file() and not new.exists() else new


def write(run: Path, arrays: Mapping[str, np.ndarray], captions: Captions) -> None:
    """Writes the index of a run, atomically.

    Args:
        run: The run directory.
        arrays: All arrays of the schema except those of the captions.
        captions: The captions of each image as token ids.
    """
    flat = [caption for group in captions for caption in group]
    with atomic(run / FILE, "wb") as file:
        np.savez_compressed(
            file,
            **arrays,  # type: ignore[arg-type]
            tokens=np.array([token for caption in flat for token in caption], np.int32),
            lengths=np.array([len(caption) for caption in flat], np.int32),
            captions_per_image=np.array([len(group) for group in captions], np.int32),
        )


def read(run: Path, channels: int | None, vocabulary_size: int | None) -> tuple[dict[str, np.ndarray], Captions]:
    """Returns the arrays of a run's index by name, and the captions of each image.

    Raises:
        CheckpointError: See ``CaptionIndex.load``.
    """
    path = index_path(run)
    if not path.is_file():
        raise CheckpointError(
            f"{run} has no caption index ({FILE}), which its reranker needs: evaluate the run once where the dataset "
            "is available"
        )
    advice = "delete it, and evaluate the run once where the dataset is available"
    old_names = _OLD_NAMES if path.name == OLD_FILE else {}
    schema = {old_names.get(name, name): spec for name, spec in _SCHEMA.items()}
    headers = read_headers(path, CheckpointError, advice)
    if schema.keys() - headers.keys() == {old_names.get(name, name) for name in _SCHEMA if name.startswith("concept_")}:
        raise CheckpointError(f"{path} was written by an earlier capsmith version: {advice}")
    if channels is not None and "mean" in headers and headers["mean"].shape != (channels,):
        size = headers["mean"].shape[0] if headers["mean"].shape else 0
        raise CheckpointError(f"{path} belongs to another encoder ({size} channels, now {channels}): {advice}")
    saved = read_arrays(path, schema, CheckpointError, advice)
    arrays = {name: saved[old_names.get(name, name)] for name in _SCHEMA}
    try:
        captions = _grouped(_grouped(arrays["tokens"].tolist(), arrays["lengths"]), arrays["captions_per_image"])
        if arrays["visual_projection"].shape[1] + arrays["semantic_projection"].shape[1] != arrays["vectors"].shape[1]:
            raise ValueError("the projections do not match the vectors")
        largest = max(arrays[name].max(initial=0) for name in ("tokens", "concept_tokens"))
        if vocabulary_size is not None and largest >= vocabulary_size:
            raise ValueError("it contains tokens that are not in the run's vocabulary")
    except (ValueError, OverflowError) as error:
        raise CheckpointError(f"{path} is damaged: {one_line(error)}; {advice}") from error
    return arrays, captions


def _grouped(items: Sequence[Any], sizes: np.ndarray) -> tuple[Any, ...]:
    """Returns consecutive items as tuples of these sizes."""
    if sum(sizes.tolist()) != len(items):  # exact for every dtype
        raise ValueError("lengths do not add up to the number of items")
    ends = accumulate(sizes.tolist())
    return tuple(tuple(items[end - size : end]) for end, size in zip(ends, sizes.tolist(), strict=True))
