"""The inputs of a detector's ONNX file: its image, and what else some exports ask for."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from capsmith.core.errors import CheckpointError
from capsmith.core.onnx_session import OnnxSession, TensorInfo

_DTYPES = {"float": np.float32, "float16": np.float16, "double": np.float64, "uint8": np.uint8}
_NUMBERS = {"int64": np.int64, "int32": np.int32, "float": np.float32, "bool": np.bool_}
_SIDE, _DETR_SIDE, _LARGEST, _PIXELS = 640, 800, 4096, 2**24
# By name: what an export of transformers, RT-DETR or PaddleDetection asks for besides the image, of height and width.
_OTHERS: dict[str, Callable[[int, int], np.ndarray]] = {
    "orig_target_sizes": lambda height, width: np.array([[width, height]]),
    "im_shape": lambda height, width: np.array([[height, width]]),
    "scale_factor": lambda height, width: np.ones((1, 2)),
    "pixel_mask": lambda height, width: np.ones((1, height, width)),
}
_WHOLE = ("orig_target_sizes",)


class OnnxInputs:
    """What a file is fed with.

    Args:
        path: The file, for messages.
        session: The opened file.
        metadata: Its properties.

    Attributes:
        names: Names of all inputs.
        whole: Whether pixels are whole numbers: the network scales them itself.
        size: Height and width of the image in pixels.

    Raises:
        CheckpointError: The inputs are not those of a detector.
    """

    def __init__(self, path: Path, session: OnnxSession, metadata: Mapping[str, str]) -> None:
        infos = session.input_infos
        self.names = [info.name for info in infos]
        images = [info for info in infos if info.name not in _OTHERS]
        if len(images) != 1:
            shown = ", ".join(name[:40] for name in self.names[:8]) or "none"
            raise CheckpointError(f"{path} is no detector: one image is expected as input, not {shown}")
        self._image = images[0]
        self.whole = self._image.dtype == "uint8"
        self._others = [info for info in infos if info is not self._image]
        self._last = _channels_last(path, self._image)
        self.size = _size(path, self._image, self._last, metadata, _DETR_SIDE if "pixel_mask" in self.names else _SIDE)
        for info in self._others:
            if info.dtype not in _NUMBERS or (info.name in _WHOLE and not info.dtype.startswith("int")):
                raise CheckpointError(f"{path} is no detector: input {info.name} is {info.dtype[:40]}")

    def feeds(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """Returns all inputs for a prepared image (1, 3, H, W)."""
        if self.whole:
            pixels = np.clip(np.rint(pixels), 0, 255)
        if self._last:
            pixels = pixels.transpose(0, 2, 3, 1)
        feeds = {self._image.name: np.ascontiguousarray(pixels, dtype=_DTYPES[self._image.dtype])}
        for info in self._others:
            value: np.ndarray = _OTHERS[info.name](*self.size).astype(_NUMBERS[info.dtype])
            if info.name == "pixel_mask":  # optimum fixes its sides to 64, whatever the image's
                sides = [side if isinstance(side, int) else self.size[i] for i, side in enumerate(info.shape[1:3])]
                value = np.ones((1, *sides), value.dtype) if max(sides) <= _LARGEST else value
            feeds[info.name] = value
        return feeds


def _channels_last(path: Path, image: TensorInfo) -> bool:
    shape = image.shape
    if image.dtype not in _DTYPES or len(shape) != 4 or (isinstance(shape[0], int) and shape[0] != 1):
        stated = f"{image.dtype[:40]} {list(shape)[:8]}"
        raise CheckpointError(f"{path} is no detector of single images: its input {image.name[:40]!r} is {stated}")
    if isinstance(shape[1], int) and shape[1] != 3:
        if shape[3] == 3:
            return True
        raise CheckpointError(f"{path}: its input {image.name[:40]!r} has {shape[1]} channels instead of 3")
    return False


def _size(path: Path, image: TensorInfo, last: bool, metadata: Mapping[str, str], otherwise: int) -> tuple[int, int]:
    sides = image.shape[1:3] if last else image.shape[2:4]
    stated = _stated(metadata)
    height, width = (
        side if isinstance(side, int) else stated[i] if stated else otherwise for i, side in enumerate(sides)
    )
    if not (1 <= height <= _LARGEST and 1 <= width <= _LARGEST and height * width <= _PIXELS):
        raise CheckpointError(f"{path}: its input is {width} x {height} pixels; up to {_LARGEST} a side are computed")
    return height, width


def _stated(metadata: Mapping[str, str]) -> tuple[int, int] | None:
    """Returns height and width as the exporting program wrote them: ``[640, 640]``, or a number each."""
    if "imgsz_h" in metadata and "imgsz_w" in metadata:
        text = f"{metadata['imgsz_h'][:20]} {metadata['imgsz_w'][:20]}"
    else:
        text = metadata.get("imgsz", "")[:40]
    numbers = [int(number) for number in re.findall(r"\d{1,9}", text)]
    if not numbers or len(numbers) > 2 or not re.fullmatch(r"[\d\s,\[\]()]*", text):
        return None
    return numbers[0], numbers[-1]
