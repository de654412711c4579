"""Fingerprint of a captioner: whether captions in a journal come from the same model."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from capsmith.core.errors import CheckpointError
from capsmith.models.export_folder import MANIFEST
from capsmith.models.run import RunDirectory

_RUN = RunDirectory(Path())
_FILES = (
    *(path.name for path in (_RUN.captioner, _RUN.vocabulary, _RUN.weights, _RUN.ensemble)),
    "encoder*.*",
    "encoder*/*",
    "*.npz",
)
_NOT = (_RUN.state.name,)  # changes while training goes on; the captions do not depend on it


def model_fingerprint(folders: Sequence[Path]) -> str:
    """Returns a hash of the files that a captioner consists of, in order; it does not depend on where they are.

    Args:
        folders: The runs or exports of its members. Of an export, the manifest is hashed, which holds the hashes of
            the other files.

    Raises:
        CheckpointError: A file cannot be read.
    """
    total = hashlib.sha256()
    for folder in folders:
        for path in _files(folder):
            try:
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
            total.update(f"{path.relative_to(folder)} {digest}\n".encode("utf-8", "surrogateescape"))
        total.update(b"\n")
    return total.hexdigest()[:16]


def _files(folder: Path) -> list[Path]:
    manifest = folder / MANIFEST
    if manifest.is_file():
        return [manifest]
    found = {path for pattern in _FILES for path in folder.glob(pattern) if path.is_file() and path.name not in _NOT}
    return sorted(found)
