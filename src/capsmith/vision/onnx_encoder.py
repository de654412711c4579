"""An exported encoder: a CNN that onnxruntime computes. It imports no Keras.

P images · L regions · D channels.
"""

from pathlib import Path

import numpy as np

from capsmith.core.errors import CheckpointError
from capsmith.core.onnx_session import TensorSpec, open_session
from capsmith.vision.regions import grid_of


class OnnxEncoder:
    """A CNN with its preprocessing, from an ONNX file.

    Args:
        path: The file.
        image_size: Height and width of the input.
        feature_shape: (D,) pooled, or (L, D) grid, row by row from the top left.
        threads: Number of threads; by default one for each core.
        grid: Rows and columns of the regions; by default those closest to square cells.

    Attributes:
        path: The file.
        image_size: Height and width of the input.
        feature_shape: Shape of the features of one image.
        grid: Rows and columns of the regions; (1, 1) of a vector.

    Raises:
        CheckpointError: The file cannot be used; see ``open_session``.
    """

    def __init__(
        self,
        path: Path,
        image_size: tuple[int, int],
        feature_shape: tuple[int, ...],
        threads: int | None = None,
        grid: tuple[int, int] | None = None,
    ) -> None:
        self.path, self.image_size, self.feature_shape = path, image_size, feature_shape
        self.grid = grid or grid_of(feature_shape[0] if len(feature_shape) == 2 else 1, image_size)
        pixels = TensorSpec("pixels", "uint8", (None, *image_size, 3))
        features = TensorSpec("features", "float32", (None, *feature_shape))
        self._session = open_session(path, [pixels], [features], threads)

    @property
    def parts(self) -> "tuple[OnnxEncoder, ...]":
        """The encoder itself, as of a joined encoder its parts."""
        return (self,)

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Returns the features (P, D) or (P, L, D), float32, of images (P, H, W, 3) in 0–255.

        Images are computed one by one: activations of one stay in the processor's cache, which is two to four times as
        fast as a batch of 16, takes a quarter of the memory, and gives an image the same bits in every batch.
        """
        if pixels.dtype != np.uint8:
            pixels = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
        features = np.empty((len(pixels), *self.feature_shape), np.float32)
        for number in range(len(pixels)):
            (own,) = self._session({"pixels": np.ascontiguousarray(pixels[number : number + 1])})
            if own.shape != (1, *self.feature_shape):
                raise CheckpointError(f"{self.path} gives features {own.shape}, not {(1, *self.feature_shape)}")
            features[number] = own[0]
        return features
