"""A CLIP preset of keras-hub in a folder, read without Keras: its sizes, how it scales pixels, and its fingerprint.

Nothing is deserialized: the networks are built from the numbers that this module checks.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from capsmith.core.errors import CheckpointError
from capsmith.core.readers.file_schema import FileSchema
from capsmith.core.readers.json_files import read_json
from capsmith.vision.fingerprint import json_sha256
from capsmith.vision.hub.presets import (
    ADVICE,
    CONVERTER,
    PresetKind,
    file_hashes,
    read_config,
    require_files,
    weights_file,
)

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Channel means and standard deviations of OpenAI's training images, in 0–1."""
VOCABULARY, MERGES = "assets/tokenizer/vocabulary.json", "assets/tokenizer/merges.txt"
CLIP = PresetKind(
    prefix="--engine clip:",
    noun="CLIP preset",
    classes=("CLIPBackbone",),
    files=("tokenizer.json", VOCABULARY, MERGES),
    docs="docs/clip.md",
    extra="clip",
)

Size = Annotated[int, Field(ge=1, le=2**20)]
Layers = Annotated[int, Field(ge=1, le=1000)]
Activation = Literal["quick_gelu", "gelu", "relu", "silu", "swish"]


class Vision(FileSchema):
    """The numbers of ``keras_hub.models.CLIPVisionEncoder``."""

    image_shape: Annotated[list[Size], Field(min_length=3, max_length=3)]
    patch_size: Size
    hidden_dim: Size
    num_layers: Layers
    num_heads: Size
    intermediate_dim: Size
    intermediate_activation: Activation = "quick_gelu"


class Text(FileSchema):
    """The numbers of ``keras_hub.models.CLIPTextEncoder``."""

    vocabulary_size: Annotated[int, Field(ge=2, le=2**24)]
    embedding_dim: Size
    hidden_dim: Size
    num_layers: Layers
    num_heads: Size
    intermediate_dim: Size
    intermediate_activation: Activation = "quick_gelu"
    max_sequence_length: Annotated[int, Field(ge=3, le=2**16)] = 77


class _Vision(FileSchema):
    config: Vision


class _Text(FileSchema):
    config: Text


class _Backbone(FileSchema):
    vision_encoder: _Vision
    text_encoder: _Text
    projection_dim: Size


class _Config(FileSchema):
    config: _Backbone


@dataclass(frozen=True)
class Preset:
    """A preset.

    Attributes:
        folder: Its folder.
        vision: Sizes of the image encoder.
        text: Sizes of the text encoder.
        size: Dimensions of the joint space.
        scale: Factor of each channel of pixels 0–255.
        offset: What is added to each channel afterwards.
        crops: Whether images keep their aspect ratio, as CLIP was trained.
    """

    folder: Path
    vision: Vision
    text: Text
    size: int
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    crops: bool

    @property
    def weights(self) -> Path:
        """The file that holds the weights, or lists the files that do."""
        return weights_file(self.folder)

    def fingerprint(self, method: str) -> str:
        """Returns the hash of everything that vectors depend on.

        Args:
            method: Names what else determines them, such as the prompts.
        """
        return json_sha256({"method": method, "files": file_hashes(self.folder, CLIP)})


def read_preset(folder: Path) -> Preset:
    """Reads the description of a CLIP preset.

    Args:
        folder: What ``keras_hub.models.CLIPBackbone.save_to_preset`` wrote, with tokenizer and image converter.

    Raises:
        CheckpointError: The folder is incomplete or damaged, or holds another kind of model.
    """
    config = read_config(folder, CLIP)
    require_files(folder, CLIP)
    backbone = _Config.check(config, folder / "config.json", CheckpointError, ADVICE).config
    vision, text = backbone.vision_encoder.config, backbone.text_encoder.config
    _require_consistent(folder / "config.json", vision, text)
    scale, offset, crops = _scaling(folder / CONVERTER)
    return Preset(folder, vision, text, backbone.projection_dim, scale, offset, crops)


def _require_consistent(path: Path, vision: Vision, text: Text) -> None:
    height, width, channels = vision.image_shape
    problem = ""
    if height != width or channels != 3 or height < vision.patch_size:
        problem = f"images of shape {height} x {width} x {channels} with patches of {vision.patch_size}"
    elif vision.hidden_dim % vision.num_heads or text.hidden_dim % text.num_heads:
        problem = "hidden_dim is no multiple of num_heads"
    elif text.embedding_dim != text.hidden_dim:
        problem = f"embedding_dim {text.embedding_dim} is not hidden_dim {text.hidden_dim}"
    if problem:
        raise CheckpointError(f"{path} is damaged: {problem}; {ADVICE}")


class _Converter(FileSchema):
    scale: float | list[float] | None = None
    offset: float | list[float] | None = None
    mean: list[float] | None = None  # older presets: of pixels times scale
    variance: list[Annotated[float, Field(gt=0)]] | None = None
    crop_to_aspect_ratio: bool = True
    pad_to_aspect_ratio: bool = False


class _ConverterFile(FileSchema):
    config: _Converter


def _scaling(path: Path) -> tuple[tuple[float, ...], tuple[float, ...], bool]:
    """Returns scale, offset, and whether the aspect ratio is kept. Without the file, those of OpenAI's models."""
    if not path.is_file():
        scale = tuple(1 / 255 / std for std in STD)
        return scale, tuple(-mean / std for mean, std in zip(MEAN, STD, strict=True)), True
    config = _ConverterFile.check(read_json(path, CheckpointError), path, CheckpointError, ADVICE).config
    if config.pad_to_aspect_ratio:
        raise CheckpointError(f"{path}: pad_to_aspect_ratio is not supported; CLIP crops")
    scale, offset = _channels(config.scale, 1.0, path), _channels(config.offset, 0.0, path)
    if config.mean is not None and config.variance is not None:
        mean, std = (
            _channels(config.mean, 0.0, path),
            tuple(math.sqrt(v) for v in _channels(config.variance, 1.0, path)),
        )
        scale = tuple(s / d for s, d in zip(scale, std, strict=True))
        offset = tuple(-m / d for m, d in zip(mean, std, strict=True))
    return scale, offset, config.crop_to_aspect_ratio


def _channels(value: float | list[float] | None, default: float, path: Path) -> tuple[float, ...]:
    values = value if isinstance(value, list) else [default if value is None else value] * 3
    if len(values) != 3:
        raise CheckpointError(f"{path} is damaged: {len(values)} channels instead of 3; {ADVICE}")
    return tuple(float(v) for v in values)
