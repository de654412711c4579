"""A CLIP preset of keras-hub in a folder, read without Keras: its sizes, how it scales pixels, and its fingerprint.

Nothing is deserialized: the networks are built from the numbers that this module checks.
"""

from dataclasses import dataclass
from pathlib import Path

from capsmith.core.errors import CheckpointError
from capsmith.core.readers.file_schema import FileSchema
from capsmith.vision.fingerprint import json_sha256
from capsmith.vision.hub.numbers import ClipText, ClipVision, Size
from capsmith.vision.hub.presets import (
    ADVICE,
    PresetKind,
    file_hashes,
    read_config,
    require_files,
    weights_file,
)
from capsmith.vision.hub.scaling import OPENAI, read_scaling

VOCABULARY, MERGES = "assets/tokenizer/vocabulary.json", "assets/tokenizer/merges.txt"
CLIP = PresetKind(
    prefix="--engine clip:",
    noun="CLIP preset",
    classes=("CLIPBackbone",),
    files=("tokenizer.json", VOCABULARY, MERGES),
    docs="docs/clip.md",
    extra="clip",
)


class _Vision(FileSchema):
    config: ClipVision


class _Text(FileSchema):
    config: ClipText


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
    vision: ClipVision
    text: ClipText
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
    scaling = read_scaling(folder, OPENAI)
    return Preset(folder, vision, text, backbone.projection_dim, scaling.scale, scaling.offset, scaling.crops)


def _require_consistent(path: Path, vision: ClipVision, text: ClipText) -> None:
    problem = vision.problem()
    if not problem and text.hidden_dim % text.num_heads:
        problem = "hidden_dim is no multiple of num_heads"
    elif not problem and text.embedding_dim != text.hidden_dim:
        problem = f"embedding_dim {text.embedding_dim} is not hidden_dim {text.hidden_dim}"
    if problem:
        raise CheckpointError(f"{path} is damaged: {problem}; {ADVICE}")
