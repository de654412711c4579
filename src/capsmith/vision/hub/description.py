"""What an image encoder of keras-hub is built from: its sizes and its preprocessing, without its weights. No Keras.

A run keeps it beside the weights, so that loading the run needs neither the preset nor a network connection.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from capsmith.core.errors import CheckpointError, ConfigError, escaped
from capsmith.core.readers.file_schema import FileSchema
from capsmith.core.readers.json_files import read_json
from capsmith.vision.encoder_folder import EncoderFolder
from capsmith.vision.framing import ImageSize, Resize
from capsmith.vision.hashes import json_sha256
from capsmith.vision.hub.families import FAMILIES, KIND, Family
from capsmith.vision.hub.numbers import Blocks, Size, Tower
from capsmith.vision.hub.presets import ADVICE, CONFIG, file_hashes, preset_folder, read_config, require_files
from capsmith.vision.hub.scaling import read_scaling

METHOD = "hub 1"
"""Changes when the same preset would give other features."""
_Channels = Annotated[list[float], Field(min_length=3, max_length=3)]


@dataclass(frozen=True)
class HubEncoder:
    """An image encoder of keras-hub.

    Attributes:
        family: What kind of encoder it is.
        numbers: Its sizes; the shape of images is that of its preset.
        side: Height and width of the images in pixels.
        framing: How images are brought to this size.
        scale: Factor of each channel of pixels 0–255.
        offset: What is added to each channel afterwards.
    """

    family: Family
    numbers: Tower
    side: int
    framing: Resize
    scale: tuple[float, ...]
    offset: tuple[float, ...]

    @property
    def image_size(self) -> ImageSize:
        """Height and width of the images, with the framing."""
        return ImageSize(self.side, self.side, self.framing)

    @property
    def cells(self) -> int:
        """Rows, and columns, of the grid of patches."""
        return self.side // self.numbers.patch

    def as_json(self) -> dict[str, Any]:
        """Returns what ``from_json`` reads."""
        return {
            "backbone": self.family.backbone,
            "numbers": self.numbers.model_dump(mode="json"),
            "side": self.side,
            "resample": self.framing.resample,
            "shorter": self.framing.shorter,
            "scale": list(self.scale),
            "offset": list(self.offset),
        }


class _Saved(FileSchema):
    backbone: str
    numbers: dict[str, Any]
    side: Size
    resample: Literal["bicubic", "bilinear"]
    shorter: Size | None
    scale: _Channels
    offset: _Channels


def from_json(value: Any, path: Path) -> HubEncoder:
    """Returns the encoder that ``as_json`` described.

    Args:
        value: The description.
        path: Its file, for messages.

    Raises:
        CheckpointError: It is damaged.
    """
    advice = "copy the run again"
    saved = _Saved.check(value, path, CheckpointError, advice)
    if (family := FAMILIES.get(saved.backbone)) is None:
        raise CheckpointError(f"{path} is damaged: it names no image encoder; {advice}")
    numbers = family.vision.check(saved.numbers, path, CheckpointError, advice)
    if problem := numbers.problem() or _size_problem(family, numbers, saved.side):
        raise CheckpointError(f"{path} is damaged: {problem}; {advice}")
    if saved.shorter is not None and saved.shorter < saved.side:
        raise CheckpointError(f"{path} is damaged: its images are smaller than their centre; {advice}")
    framing = Resize(saved.resample, saved.shorter)
    return HubEncoder(family, numbers, saved.side, framing, tuple(saved.scale), tuple(saved.offset))


def read_preset(folder: Path, size: tuple[int, int] | None) -> HubEncoder:
    """Reads the description of a preset.

    Args:
        folder: What ``save_to_preset`` of a backbone and its image converter wrote.
        size: Height and width of the images; None for the default.

    Raises:
        CheckpointError: The folder is incomplete or damaged, or holds another kind of model.
        ConfigError: The encoder does not take images of this size.
    """
    config = read_config(folder, KIND)
    require_files(folder, KIND)
    family, path = FAMILIES[str(config["class_name"])], folder / CONFIG
    numbers, text = _numbers(family, config.get("config"), path)
    problem = numbers.problem()
    if text is not None and not problem and text.hidden_dim % text.num_heads:
        problem = "hidden_dim is no multiple of num_heads"
    if problem:
        raise CheckpointError(f"{path} is damaged: {problem}; {ADVICE}")
    own = int(numbers.image_shape[0])
    side = size[0] if size else min(own, family.largest or own) if family.any_size else own
    if size and size[0] != size[1]:
        raise ConfigError(f"encoder.image_size: {family.title} takes square images: set {size[0]}")
    if problem := _size_problem(family, numbers, side):
        raise ConfigError(f"encoder.image_size: {problem}")
    scaling = read_scaling(folder, family.statistics)
    return HubEncoder(family, numbers, side, family.framing(side, scaling.crops), scaling.scale, scaling.offset)


def text_numbers(folder: Path, family: Family) -> Blocks | None:
    """Returns the numbers of the text encoder that shares a preset's weights file; None if there is none."""
    return _numbers(family, read_config(folder, KIND).get("config"), folder / CONFIG)[1]


def projection_size(folder: Path) -> int:
    """Returns the dimensions of the joint space of a CLIP preset."""
    config = _Projected.check(read_config(folder, KIND).get("config"), folder / CONFIG, CheckpointError, ADVICE)
    return config.projection_dim


def find_preset(name: str) -> Path:
    """Returns the folder of a preset by its folder or name, or the run that is named instead; see ``preset_folder``."""
    folder = Path(name).expanduser()
    if folder.name != name and not folder.is_dir():
        raise ConfigError(
            f"{KIND.prefix}{escaped(name)}: no such folder; a run that was trained with it has a copy: set "
            "encoder.preset to the run, or to its encoder_1, encoder_2 …"
        )
    return preset_folder(name, KIND)


def preset_hash(name: str) -> str:
    """Returns the SHA-256 of everything in a preset that features depend on, and of how it is used."""
    folder = find_preset(name)
    if is_saved(folder):
        return str(saved_description(folder)[1]["weights"])
    return f"sha256:{json_sha256({'method': METHOD, 'files': file_hashes(folder, KIND)})}"


def is_saved(folder: Path) -> bool:
    """Returns whether a folder is a run, or part of one, which keeps a preset's image encoder."""
    return EncoderFolder(folder).description.is_file() and not (folder / CONFIG).is_file()


def saved_description(folder: Path) -> tuple[HubEncoder, dict[str, Any]]:
    """Returns the image encoder that a run keeps, and its fingerprint.

    Raises:
        CheckpointError: The run keeps none, or is damaged.
    """
    path = EncoderFolder(folder).description
    content = read_json(path, CheckpointError)
    fingerprint = content.get("fingerprint") if isinstance(content, dict) else None
    if not isinstance(fingerprint, dict) or fingerprint.get("type") != "hub":
        raise CheckpointError(f"{path}: the run has no encoder of type hub: set encoder.preset to a preset")
    return from_json(content.get("preset"), path), fingerprint


class _Projected(FileSchema):
    projection_dim: Size


class _Nested(FileSchema):
    config: dict[str, Any]


class _Joint(FileSchema):
    vision_encoder: _Nested
    text_encoder: _Nested


def _numbers(family: Family, config: Any, path: Path) -> tuple[Tower, Blocks | None]:
    if family.text is None:
        return family.vision.check(config, path, CheckpointError, ADVICE), None
    joint = _Joint.check(config, path, CheckpointError, ADVICE)
    text = family.text.check(joint.text_encoder.config, path, CheckpointError, ADVICE)
    return family.vision.check(joint.vision_encoder.config, path, CheckpointError, ADVICE), text


def _size_problem(family: Family, numbers: Tower, side: int) -> str:
    """Returns why an encoder does not take images of this size; empty if it does."""
    own = numbers.image_shape[0]
    if side == own:
        return ""
    if not family.any_size:
        return f"this preset of {family.title} takes images of {own} pixels: remove image_size"
    if side % numbers.patch:
        return f"{side} is no multiple of the {numbers.patch} pixels of a patch"
    return "" if numbers.patch <= side <= 4096 else f"{side} is not between {numbers.patch} and 4096 pixels"
