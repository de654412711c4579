"""A BLIP model in a folder, as transformers saves it: what it holds, checked before any of it is built.

Nothing is executed or unpickled: JSON is parsed strictly, and weights are read from safetensors alone.
"""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from capsmith.core.errors import CheckpointError, escaped, one_line
from capsmith.core.readers.file_schema import FileSchema
from capsmith.core.readers.json_files import read_json
from capsmith.models.external.hugging_face import DOCS, SHARDS, WEIGHTS
from capsmith.vision.framing import ImageSize, Resize
from capsmith.vision.hashes import file_sha256, json_sha256

CONFIG, PREPROCESSOR, PROCESSOR = "config.json", "preprocessor_config.json", "processor_config.json"
TOKENIZER, VOCABULARY = "tokenizer.json", "vocab.txt"
OPTIONAL = [PREPROCESSOR, PROCESSOR, TOKENIZER, VOCABULARY, "tokenizer_config.json", "special_tokens_map.json"]
"""Files that only some versions of transformers write."""
ADVICE = f"save the model again, see {DOCS}"
CAPTIONER = "BlipForConditionalGeneration"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5")
_FILTERS: dict[int, Literal["bilinear", "bicubic"]] = {2: "bilinear", 3: "bicubic"}  # Pillow's numbers

Size = Annotated[int, Field(ge=1, le=2**20)]
Layers = Annotated[int, Field(ge=1, le=1000)]
Channels = Annotated[list[float], Field(min_length=3, max_length=3)]


class Text(FileSchema):
    """The numbers of ``transformers.BlipTextConfig``; files omit defaults."""

    vocab_size: Annotated[int, Field(ge=2, le=2**24)] = 30524
    hidden_size: Size = 768
    intermediate_size: Size = 3072
    num_hidden_layers: Layers = 12
    num_attention_heads: Size = 8
    max_position_embeddings: Size = 512
    bos_token_id: int = 30522
    pad_token_id: int = 0
    sep_token_id: int = 102


class Vision(FileSchema):
    """The numbers of ``transformers.BlipVisionConfig``; files omit defaults."""

    hidden_size: Size = 768
    intermediate_size: Size = 3072
    num_hidden_layers: Layers = 12
    num_attention_heads: Size = 12
    image_size: Annotated[int, Field(ge=1, le=2**13)] = 384
    patch_size: Size = 16


class _Config(FileSchema):
    text_config: Text = Text()
    vision_config: Vision = Vision()


class _Processor(FileSchema):
    do_resize: bool = True
    do_rescale: bool = True
    do_normalize: bool = True
    do_center_crop: bool = False
    do_pad: bool = False
    resample: int = 3
    rescale_factor: Annotated[float, Field(gt=0, le=1)] = 1 / 255
    image_mean: Channels = [0.48145466, 0.4578275, 0.40821073]  # noqa: RUF012
    image_std: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=3, max_length=3)] = [  # noqa: RUF012
        0.26862954,
        0.26130258,
        0.27577711,
    ]
    size: dict[str, Any] | int | None = None


@dataclass(frozen=True)
class BlipFolder:
    """A checked folder.

    Attributes:
        folder: The folder.
        config: The content of ``config.json``.
        text: Sizes of the text decoder.
        vision: Sizes of the image encoder.
        weights: The safetensors files.
        image_size: Height and width of the pixels, and how images are brought to it.
        rescale: Factor of pixels in 0–255.
        mean: Mean of each channel of rescaled pixels (3,).
        std: Standard deviation of each channel (3,).
    """

    folder: Path
    config: dict[str, Any]
    text: Text
    vision: Vision
    weights: tuple[Path, ...]
    image_size: ImageSize
    rescale: float
    mean: np.ndarray
    std: np.ndarray

    @property
    def numbers(self) -> int:
        """A lower bound of the numbers that the model has: embeddings, attention and dense kernels."""
        text, vision = self.text, self.vision
        embeddings = (text.vocab_size + text.max_position_embeddings) * text.hidden_size
        encoder = (
            vision.num_hidden_layers * vision.hidden_size * (4 * vision.hidden_size + 2 * vision.intermediate_size)
        )
        cross = 2 * text.hidden_size + 2 * vision.hidden_size
        decoder = (
            text.num_hidden_layers * text.hidden_size * (4 * text.hidden_size + cross + 2 * text.intermediate_size)
        )
        return embeddings + encoder + decoder

    def fingerprint(self, method: str) -> str:
        """Returns the hash of every file that captions depend on.

        Args:
            method: Names what else determines them.
        """
        names = [CONFIG, *OPTIONAL, *(path.name for path in self.weights)]
        files = {name: self.folder / name for name in names}
        return json_sha256({"method": method, "files": {n: file_sha256(p) for n, p in files.items() if p.is_file()}})

    def preprocess(self, pixels: np.ndarray) -> np.ndarray:
        """Returns pixels (B, H, W, 3) in 0–255 as the network takes them: (B, 3, H, W) float32."""
        scaled = np.asarray(pixels, np.float32) * np.float32(self.rescale)
        return np.ascontiguousarray(((scaled - self.mean) / self.std).transpose(0, 3, 1, 2))


def read_blip(folder: Path) -> BlipFolder:
    """Reads the description of a BLIP captioner.

    Args:
        folder: What ``save_pretrained`` of ``BlipForConditionalGeneration`` and ``BlipProcessor`` wrote.

    Raises:
        CheckpointError: The folder is incomplete or damaged, or holds another kind of model.
    """
    config = _read_config(folder / CONFIG)
    sizes = _Config.check(config, folder / CONFIG, CheckpointError, ADVICE)
    text, vision = sizes.text_config, sizes.vision_config
    _require_consistent(folder / CONFIG, text, vision)
    if not ((folder / TOKENIZER).is_file() or (folder / VOCABULARY).is_file()):
        raise CheckpointError(f"{folder} is incomplete: {TOKENIZER} missing; {ADVICE}")
    processor = _read_processor(folder)
    size = ImageSize(vision.image_size, vision.image_size, Resize(_FILTERS[processor.resample]))
    mean, std = np.array(processor.image_mean, np.float32), np.array(processor.image_std, np.float32)
    if not processor.do_normalize:
        mean, std = np.zeros(3, np.float32), np.ones(3, np.float32)
    rescale = processor.rescale_factor if processor.do_rescale else 1.0
    checked = BlipFolder(folder, config, text, vision, _weights(folder), size, rescale, mean, std)
    _require_size(folder, processor, vision.image_size)
    _require_enough_numbers(checked)
    return checked


def _read_config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise CheckpointError(f"{path.parent} is not a BLIP model: it has no {CONFIG}")
    config = read_json(path, CheckpointError)
    if not isinstance(config, dict):
        raise CheckpointError(f"{path} is damaged: it describes no model; {ADVICE}")
    kind = config.get("model_type")
    if kind != "blip":
        found = f"holds a model of the kind {kind!r:.60}" if kind else "is not a model of transformers"
        hint = ": pass keras-hub's as hub:FOLDER" if "registered_name" in config or "class_name" in config else ""
        raise CheckpointError(escaped(f"{path.parent} {found}, not a BLIP captioner{hint}"))
    names = config.get("architectures")
    if isinstance(names, list) and names and CAPTIONER not in names:
        raise CheckpointError(
            escaped(f"{path.parent} holds a {str(names[0])[:60]}, which does not caption: a {CAPTIONER} is needed")
        )
    return config


def _require_consistent(path: Path, text: Text, vision: Vision) -> None:
    problem = ""
    ids = {"bos": text.bos_token_id, "pad": text.pad_token_id, "sep": text.sep_token_id}
    if text.hidden_size % text.num_attention_heads or vision.hidden_size % vision.num_attention_heads:
        problem = "hidden_size is no multiple of num_attention_heads"
    elif vision.image_size < vision.patch_size:
        problem = f"images of {vision.image_size} pixels with patches of {vision.patch_size}"
    elif outside := [name for name, value in ids.items() if not 0 <= value < text.vocab_size]:
        problem = f"{outside[0]}_token_id is not in the vocabulary of {text.vocab_size}"
    if problem:
        raise CheckpointError(f"{path} is damaged: {problem}; {ADVICE}")


def _read_processor(folder: Path) -> _Processor:
    path = next((folder / name for name in (PREPROCESSOR, PROCESSOR) if (folder / name).is_file()), None)
    if path is None:
        raise CheckpointError(f"{folder} is incomplete: {PREPROCESSOR} missing; {ADVICE}")
    values = read_json(path, CheckpointError)
    if path.name == PROCESSOR and isinstance(values, dict):
        values = values.get("image_processor", values)
    if isinstance(values, dict):  # processors of some versions write null for what they do not use
        values = {name: value for name, value in values.items() if value is not None}
    processor = _Processor.check(values, path, CheckpointError, ADVICE)
    if processor.resample not in _FILTERS or not processor.do_resize or processor.do_center_crop or processor.do_pad:
        raise CheckpointError(f"{path}: only resizing, bicubic or bilinear, is supported; BLIP does not crop or pad")
    return processor


def _require_size(folder: Path, processor: _Processor, side: int) -> None:
    size = processor.size
    sides = [size] if isinstance(size, int) else [(size or {}).get(name, side) for name in ("height", "width")]
    if any(value != side for value in sides) or (isinstance(size, dict) and set(size) - {"height", "width"}):
        raise CheckpointError(f"{folder}: images are brought to {size!r:.80}, but the network takes {side}; {ADVICE}")


def _weights(folder: Path) -> tuple[Path, ...]:
    if (folder / WEIGHTS).is_file():
        return (folder / WEIGHTS,)
    if (folder / SHARDS).is_file():
        index = read_json(folder / SHARDS, CheckpointError)
        listed = index.get("weight_map") if isinstance(index, dict) else None
        names = (
            set(listed.values())
            if isinstance(listed, dict) and all(isinstance(n, str) for n in listed.values())
            else set()
        )
        if not names or any(Path(name).name != name or not name.endswith(".safetensors") for name in names):
            raise CheckpointError(f"{folder / SHARDS} is damaged: it lists no safetensors of this folder; {ADVICE}")
        if lacking := sorted(name for name in names if not (folder / name).is_file()):
            raise CheckpointError(f"{folder} is incomplete: {escaped(lacking[0])[:100]} missing; {ADVICE}")
        return tuple(folder / name for name in sorted(names))
    if pickle := next((path.name for pattern in _PICKLES for path in sorted(folder.glob(pattern))), None):
        raise CheckpointError(
            f"{folder} has its weights in {escaped(pickle)[:100]} only, and pickles are not loaded: save the model as "
            f"safetensors, see {DOCS}"
        )
    raise CheckpointError(f"{folder} is incomplete: {WEIGHTS} missing; {ADVICE}")


def _require_enough_numbers(blip: BlipFolder) -> None:
    """Raises CheckpointError if config.json describes a larger model than the files hold, or a file is damaged."""
    safe_open = importlib.import_module("safetensors").safe_open  # comes with transformers
    found = 0
    for path in blip.weights:
        try:
            with safe_open(str(path), framework="numpy") as file:
                found += sum(int(np.prod(file.get_slice(name).get_shape())) for name in file.keys())  # noqa: SIM118
        except Exception as error:  # safetensors' own errors, and those of the operating system
            raise CheckpointError(
                f"{path}: truncated, or not safetensors ({one_line(error)[:150]}); copy the file again"
            ) from error
    if found < blip.numbers:
        raise CheckpointError(
            f"{blip.folder} holds {found:,} numbers, but {CONFIG} describes a model of more than {blip.numbers:,}; "
            f"{ADVICE}"
        )
