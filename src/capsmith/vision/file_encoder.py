"""``encoder.type: onnx``: a frozen encoder that is an ONNX file, such as that of an export. It imports no Keras.

P images · L regions · D channels.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from capsmith.core.errors import CheckpointError
from capsmith.core.files import atomic
from capsmith.core.onnx_session import TensorSpec, open_session
from capsmith.core.readers.regular_files import read_bytes
from capsmith.vision.onnx_encoder import OnnxEncoder

_MAX_SIDE = 4096


class FileEncoder(OnnxEncoder):
    """A CNN with its preprocessing in one file, with input ``pixels`` and output ``features`` as in an export.

    Args:
        path: The file.
        output: ``pooled`` or ``grid``: which the features of the file must be.
        fingerprint: The encoder's fingerprint, whose ``weights`` are the SHA-256 of the file.

    Attributes:
        content: The file.
        fingerprint: Everything that determines the features.

    Raises:
        CheckpointError: The file cannot be used.
    """

    model = None  # there is no Keras network to train or to read

    def __init__(self, path: Path, output: str, fingerprint: dict[str, Any]) -> None:
        self._read(path, fingerprint)
        size, shape = _shapes(path)
        if len(shape) != (2 if output == "grid" else 1):
            kind = f"a grid {shape}: set output: grid" if len(shape) == 2 else f"one vector {shape}: set output: pooled"
            raise CheckpointError(f"{path} gives {kind}")
        super().__init__(path, size, shape)

    def _read(self, path: Path, fingerprint: dict[str, Any]) -> None:
        try:
            self.content = read_bytes(path)
        except OSError as error:
            raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
        if f"sha256:{hashlib.sha256(self.content).hexdigest()}" != fingerprint["weights"]:
            raise CheckpointError(f"{path} is not the encoder with which the features were computed (another SHA-256)")
        self.fingerprint = fingerprint

    @property
    def parts(self) -> "tuple[FileEncoder, ...]":
        """The encoder itself, as of a joined encoder its parts."""
        return (self,)

    def save(self, path: Path) -> None:
        """Writes a copy of the file, atomically."""
        with atomic(path, "wb") as file:
            file.write(self.content)


def _shapes(path: Path) -> tuple[tuple[int, int], tuple[int, ...]]:
    """Returns the image size of a file, and the shape of one image's features, from a grey image."""
    pixels, features = TensorSpec("pixels", "uint8"), TensorSpec("features", "float32")
    session = open_session(path, [pixels], [features])
    shape = session.input_shape("pixels")
    sides = [side for side in shape[1:3] if isinstance(side, int) and 0 < side <= _MAX_SIDE]
    if len(shape) != 4 or shape[3] != 3 or len(sides) != 2:
        raise CheckpointError(f"{path}: its input is {shape}, not images (P, H, W, 3) of one size")
    (found,) = session({"pixels": np.full((1, *sides, 3), 127, np.uint8)})
    if found.ndim not in (2, 3) or len(found) != 1 or 0 in found.shape:
        raise CheckpointError(f"{path}: its output is {found.shape}, not features (P, D) or (P, L, D)")
    return (sides[0], sides[1]), found.shape[1:]
