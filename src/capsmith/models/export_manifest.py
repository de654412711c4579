"""The manifest of an export, ``manifest.json``, read strictly and without pydantic.

D channels · L regions · S state arrays.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from capsmith.core.errors import CheckpointError, one_line
from capsmith.core.readers.json_files import parse_json
from capsmith.core.readers.regular_files import read_bytes
from capsmith.vision.regions import grid_of

FORMAT = 1
KINDS = ("onnx", "litert", "savedmodel", "web")
"""Formats of an export. Python opens ``onnx``, and the ``onnx`` files of ``web``."""
MAX_MANIFEST = 2**22
"""Largest manifest in bytes."""
MAX_FILE = 2**31 - 1
"""Largest file in bytes: a protocol buffer cannot be larger."""
ADVICE = "export the run again"

_MAX_FILES, _MAX_MEMBERS, _MAX_ENCODERS, _MAX_STATE = 1000, 64, 16, 256
_MAX_SIDE, _MAX_SIZE, _MAX_DEPTH = 4096, 10**6, 6
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,99}")


@dataclass(frozen=True)
class FileEntry:
    """A file of an export.

    Attributes:
        sha256: Its SHA-256 in hexadecimal.
        bytes: Its size.
    """

    sha256: str
    bytes: int


@dataclass(frozen=True)
class EncoderEntry:
    """An encoder of a member.

    Attributes:
        file: Its path in the export.
        image_size: Height and width of its input.
        feature_shape: (D,) or (L, D).
        grid: Rows and columns of the regions, (1, 1) of a vector; in exports of earlier versions, which do not hold
            them, those closest to square cells.
    """

    file: str
    image_size: tuple[int, int]
    feature_shape: tuple[int, ...]
    grid: tuple[int, int]


@dataclass(frozen=True)
class MemberEntry:
    """One trained model.

    Attributes:
        feature_shape: Shape of the joined features of one image, (D,) or (L, D).
        store_float16: Whether grids are rounded to float16, the precision of a feature store.
        encoders: Its encoders.
        start: Path of the decoder's start in the export.
        step: Path of the decoder's step.
        n_static: Number of state arrays that belong to the images; the others belong to rows of the search.
        state: S.
        attends: Whether the decoder attends to regions: the last state array holds the weights of a row, (N, L).
        weights: Where the files hold the decoder's weights, unchecked, see ``exported_weights``; None in exports of
            earlier versions.
    """

    feature_shape: tuple[int, ...]
    store_float16: bool
    encoders: tuple[EncoderEntry, ...]
    start: str
    step: str
    n_static: int
    state: int
    attends: bool = False
    weights: Any = None

    @property
    def files(self) -> tuple[str, ...]:
        """Paths of its files in the export."""
        return *(encoder.file for encoder in self.encoders), self.start, self.step


@dataclass(frozen=True)
class Manifest:
    """The content of a manifest.

    Attributes:
        kind: The format of the export.
        quantise: The quantisation, or None.
        files: Every file by its path, except the manifest and the model card.
        members: The models.
        text: Settings of the text, as JSON.
        decoding: Settings of the search, as JSON.
        config: The config of the run, as JSON; empty if the export has none.
        labels: Short descriptions, such as ``trained_on``.
        sha256: SHA-256 of the manifest, which identifies the export.
    """

    kind: str
    quantise: str | None
    files: Mapping[str, FileEntry]
    members: tuple[MemberEntry, ...]
    text: Mapping[str, Any]
    decoding: Mapping[str, Any]
    config: Mapping[str, Any]
    labels: Mapping[str, str]
    sha256: str


def read_manifest(path: Path) -> Manifest:
    """Reads a manifest.

    Args:
        path: The file.

    Raises:
        CheckpointError: It is missing or damaged, belongs to something else, or to a later version.
    """
    import hashlib

    try:
        raw = read_bytes(path, MAX_MANIFEST)
        content = parse_json(raw)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}; {ADVICE}") from error
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged: {one_line(error)[:200]}; {ADVICE}") from error
    if isinstance(content, dict) and type(content.get("format")) is int and content["format"] > FORMAT:
        raise CheckpointError(
            f"{path} has format {content['format']}, but this capsmith reads format {FORMAT}: upgrade capsmith"
        )
    try:
        return _manifest(content, hashlib.sha256(raw).hexdigest())
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged: {one_line(error)[:300]}; {ADVICE}") from error


def _manifest(content: Any, sha256: str) -> Manifest:
    if not isinstance(content, dict) or not {"format", "kind", "files", "members"} <= content.keys():
        raise ValueError("it is not the manifest of a capsmith export")
    if content["format"] != FORMAT or isinstance(content["format"], bool):
        raise ValueError(f"its format is not {FORMAT}")
    kind = _text(content, "kind")
    if kind not in KINDS:
        raise ValueError(f"kind: {kind!r:.40} is not one of {', '.join(KINDS)}")
    quantise = content.get("quantise")
    if quantise is not None and not isinstance(quantise, str):
        raise ValueError("quantise is not a string")
    files = {_path(name): _file(name, entry) for name, entry in _object(content, "files", _MAX_FILES).items()}
    entries = _list(content, "members", 1, _MAX_MEMBERS)
    members = tuple(_member(entry, f"members.{number}") for number, entry in enumerate(entries))
    if unlisted := [name for member in members for name in member.files if not _is_listed(name, files)]:
        raise ValueError(f"files lacks {unlisted[0]!r:.80}")
    labels = _object(content, "labels", _MAX_FILES) if "labels" in content else {}
    return Manifest(
        kind,
        quantise,
        files,
        members,
        _object(content, "text", _MAX_FILES),
        _object(content, "decoding", _MAX_FILES),
        _object(content, "config", _MAX_FILES) if content.get("config") is not None else {},
        {name: value for name, value in labels.items() if isinstance(value, str)},
        sha256,
    )


def _is_listed(name: str, files: Mapping[str, FileEntry]) -> bool:
    """Returns whether a file, or a folder of files, is listed."""
    return name in files or any(listed.startswith(f"{name}/") for listed in files)


def _file(name: str, entry: Any) -> FileEntry:
    where = f"files.{name[:80]}"
    if not isinstance(entry, dict):
        raise ValueError(f"{where} is not an object")
    digest = _text(entry, "sha256", where)
    if not _SHA256.fullmatch(digest):
        raise ValueError(f"{where}.sha256 is not a SHA-256")
    return FileEntry(digest, _integer(entry, "bytes", 0, MAX_FILE, where))


def _member(entry: Any, where: str) -> MemberEntry:
    if not isinstance(entry, dict):
        raise ValueError(f"{where} is not an object")
    folder = _text(entry, "folder", where)

    def inside(name: str) -> str:
        return _path(name if folder == "." else f"{folder}/{name}")

    encoders = tuple(
        _encoder(value, f"{where}.encoders.{number}", inside)
        for number, value in enumerate(_list(entry, "encoders", 1, _MAX_ENCODERS, where))
    )
    rounded = entry.get("store_float16")
    if not isinstance(rounded, bool):
        raise ValueError(f"{where}.store_float16 is not true or false")
    attends = entry.get("attends", False)
    if not isinstance(attends, bool):
        raise ValueError(f"{where}.attends is not true or false")
    shape = _shape(entry, where)
    if attends and len(shape) != 2:
        raise ValueError(f"{where}.attends is true, but the features {shape} have no regions")
    if any(len(encoder.feature_shape) != len(shape) for encoder in encoders):
        raise ValueError(f"{where}.encoders do not give the features {shape}")
    state = _integer(entry, "state", 1, _MAX_STATE, where)
    return MemberEntry(
        shape,
        rounded,
        encoders,
        inside(_text(entry, "start", where)),
        inside(_text(entry, "step", where)),
        _integer(entry, "n_static", 0, state, where),
        state,
        attends,
        entry.get("weights"),
    )


def _encoder(entry: Any, where: str, inside: Callable[[str], str]) -> EncoderEntry:
    if not isinstance(entry, dict):
        raise ValueError(f"{where} is not an object")
    sides = _list(entry, "image_size", 2, 2, where)
    height, width = (_integer({"image_size": side}, "image_size", 1, _MAX_SIDE, where) for side in sides)
    shape = _shape(entry, where)
    return EncoderEntry(
        inside(_text(entry, "file", where)), (height, width), shape, _grid(entry, shape, (height, width), where)
    )


def _grid(entry: Mapping[str, Any], shape: tuple[int, ...], image_size: tuple[int, int], where: str) -> tuple[int, int]:
    regions = shape[0] if len(shape) == 2 else 1
    if "grid" not in entry:
        return grid_of(regions, image_size)
    rows, columns = (
        _integer({"grid": side}, "grid", 1, _MAX_SIZE, where) for side in _list(entry, "grid", 2, 2, where)
    )
    if rows * columns != regions:
        raise ValueError(f"{where}.grid has {rows} × {columns} regions, but the features have {regions}")
    return rows, columns


def _shape(entry: Mapping[str, Any], where: str) -> tuple[int, ...]:
    sizes = _list(entry, "feature_shape", 1, 2, where)
    return tuple(_integer({"feature_shape": size}, "feature_shape", 1, _MAX_SIZE, where) for size in sizes)


def _path(name: str) -> str:
    """Returns a relative path, if it stays inside the export on every system."""
    parts = name.split("/")
    if len(parts) > _MAX_DEPTH or not all(_PART.fullmatch(part) for part in parts) or PurePosixPath(name).is_absolute():
        raise ValueError(f"{name!r:.80} is not a path inside the export")
    return name


def _integer(entry: Mapping[str, Any], key: str, least: int, most: int, where: str = "") -> int:
    value = entry.get(key)
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{where}{'.' if where else ''}{key} is not an integer from {least} to {most}")
    return value


def _text(entry: Mapping[str, Any], key: str, where: str = "") -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{where}{'.' if where else ''}{key} is not a string")
    return value


def _list(entry: Mapping[str, Any], key: str, least: int, most: int, where: str = "") -> list[Any]:
    value = entry.get(key)
    if not isinstance(value, list) or not least <= len(value) <= most:
        number = f"{least}" if least == most else f"{least} to {most}"
        raise ValueError(f"{where}{'.' if where else ''}{key} is not a list of {number} entries")
    return value


def _object(entry: Mapping[str, Any], key: str, most: int) -> dict[str, Any]:
    value = entry.get(key)
    if not isinstance(value, dict) or len(value) > most:
        raise ValueError(f"{key} is not an object of at most {most} entries")
    return value
