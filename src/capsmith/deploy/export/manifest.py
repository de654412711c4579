"""The manifest of an export: its files with their hashes, and everything that the runtime must know."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from capsmith import __version__
from capsmith.core.files import write_json
from capsmith.core.readers.json_files import parse_json
from capsmith.core.readers.regular_files import read_bytes
from capsmith.deploy.export.graphs import MemberGraphs
from capsmith.models.captioner import Captioner
from capsmith.models.export_folder import CARD, MANIFEST
from capsmith.models.keras_member import KerasMember
from capsmith.models.wishes import without_file

FORMAT = 1
_UNLISTED = (MANIFEST, CARD)


def member_entry(member: KerasMember, graphs: MemberGraphs, folder: str, suffix: str) -> dict[str, Any]:
    """Returns the entry of one model.

    Args:
        member: The model.
        graphs: Its graphs.
        folder: Its folder in the export; ``.`` for a single model.
        suffix: Suffix of its files.
    """
    return {
        "folder": folder,
        "feature_shape": list(member.feature_shape),
        "store_float16": len(member.feature_shape) == 2 and not member.config.trains_encoder,
        "encoders": [
            {
                "file": f"{graph.name}{suffix}",
                "image_size": list(encoder.image_size),
                "feature_shape": list(encoder.feature_shape),
                "grid": list(encoder.grid),
            }
            for graph, encoder in zip(graphs.encoders, member.encoders, strict=True)
        ],
        "start": f"{graphs.start.name}{suffix}",
        "step": f"{graphs.step.name}{suffix}",
        "n_static": graphs.n_static,
        "state": graphs.n_state,
        "attends": member.attends,
    }


def write_manifest(
    folder: Path,
    captioner: Captioner,
    kind: str,
    quantise: str | None,
    members: Sequence[Mapping[str, Any]],
    more: Mapping[str, Any],
) -> None:
    """Writes the manifest, which lists every file that is in the folder now.

    Args:
        folder: The export.
        captioner: The exported model; the first member decides decoding.
        kind: The format.
        quantise: The quantisation, or None.
        members: The entries of ``member_entry``.
        more: More sections: ``scores``, ``labels``.
    """
    config = captioner.config
    decoding = without_file(config.decoding)
    write_json(
        folder / MANIFEST,
        {
            "format": FORMAT,
            "capsmith": __version__,
            "kind": kind,
            "quantise": quantise,
            "files": file_entries(folder),
            "text": config.text.model_dump(mode="json"),
            "decoding": decoding,
            "members": list(members),
            "config": config.model_dump(mode="json") | {"decoding": decoding},
            **more,
        },
    )


def file_entries(folder: Path) -> dict[str, dict[str, Any]]:
    """Returns size and SHA-256 of every file below a folder by its relative path, without manifest and card."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {
        name: {"sha256": _sha256(folder / name), "bytes": os.path.getsize(folder / name)}
        for name in names
        if name not in _UNLISTED
    }


def is_export(folder: Path) -> bool:
    """Returns whether a folder is an export that capsmith wrote, and holds nothing else."""
    try:
        content = parse_json(read_bytes(folder / MANIFEST))
    except (OSError, ValueError):
        return False
    if not isinstance(content, dict) or not {"format", "capsmith", "kind", "files", "members"} <= content.keys():
        return False
    listed = content["files"] if isinstance(content["files"], dict) else {}
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    return present <= {*listed, *_UNLISTED}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
