"""How a preset scales pixels, read from its ``image_converter.json``."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from capsmith.core.errors import CheckpointError
from capsmith.core.readers.file_schema import FileSchema
from capsmith.core.readers.json_files import read_json
from capsmith.vision.hub.presets import ADVICE, CONVERTER

OPENAI = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Channel means and standard deviations of OpenAI's training images, in 0–1."""
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Channel means and standard deviations of ImageNet, in 0–1."""
HALF = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
"""Maps 0–1 to [-1, 1]."""

Statistics = tuple[tuple[float, float, float], tuple[float, float, float]]
_Numbers = Annotated[list[float], Field(min_length=3, max_length=3)]


@dataclass(frozen=True)
class Scaling:
    """How pixels are scaled: ``pixels * scale + offset``.

    Attributes:
        scale: Factor of each channel of pixels 0–255.
        offset: What is added to each channel afterwards.
        crops: Whether the file says that images keep their aspect ratio; true if it says nothing.
    """

    scale: tuple[float, ...]
    offset: tuple[float, ...]
    crops: bool = True


class _Converter(FileSchema):
    scale: float | _Numbers | None = None
    offset: float | _Numbers | None = None
    mean: _Numbers | None = None  # older presets: of pixels times scale
    variance: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=3, max_length=3)] | None = None
    crop_to_aspect_ratio: bool = True
    pad_to_aspect_ratio: bool = False


class _ConverterFile(FileSchema):
    config: _Converter


def read_scaling(folder: Path, default: Statistics) -> Scaling:
    """Reads how a preset scales pixels.

    Args:
        folder: The preset.
        default: Mean and standard deviation that apply if it has no ``image_converter.json``.

    Raises:
        CheckpointError: The file is damaged, or pads images.
    """
    path = folder / CONVERTER
    if not path.is_file():
        mean, std = default
        return Scaling(tuple(1 / 255 / d for d in std), tuple(-m / d for m, d in zip(mean, std, strict=True)))
    config = _ConverterFile.check(read_json(path, CheckpointError), path, CheckpointError, ADVICE).config
    if config.pad_to_aspect_ratio:
        raise CheckpointError(f"{path}: pad_to_aspect_ratio is not supported")
    scale, offset = _channels(config.scale, 1.0), _channels(config.offset, 0.0)
    if config.mean is not None and config.variance is not None:
        deviations = [math.sqrt(variance) for variance in config.variance]
        scale = tuple(s / d for s, d in zip(scale, deviations, strict=True))
        offset = tuple(-m / d for m, d in zip(config.mean, deviations, strict=True))
    return Scaling(scale, offset, config.crop_to_aspect_ratio)


def _channels(value: float | list[float] | None, default: float) -> tuple[float, ...]:
    values = value if isinstance(value, list) else [default if value is None else value] * 3
    return tuple(float(v) for v in values)
