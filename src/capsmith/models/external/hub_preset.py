"""A captioner's preset of keras-hub in a folder: what it holds, checked before keras-hub builds anything from it.

keras-hub deserializes these files: trees of class names and their arguments. Here every class must be one that the
image-to-text models of keras-hub consist of, so that a preset cannot ask for any other code.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capsmith.core.errors import CheckpointError, FeatureError, escaped
from capsmith.core.readers.json_files import read_json
from capsmith.models.external.hugging_face import DOCS
from capsmith.vision.framing import ImageSize, Resize
from capsmith.vision.hub.presets import ADVICE, CONFIG, CONVERTER, PresetKind, read_config, require_files
from capsmith.vision.hub.trees import check_tree, require_shards_inside

TASK, PREPROCESSOR, TOKENIZER = "task.json", "preprocessor.json", "tokenizer.json"
_ASSETS = "assets/tokenizer/"
KIND = PresetKind(
    prefix="hub:",
    noun="captioner preset",
    classes=("PaliGemmaBackbone", "BLIP2Backbone"),
    files=(TOKENIZER,),
    optional=(
        TASK,
        PREPROCESSOR,
        CONVERTER,
        *(_ASSETS + f for f in ("vocabulary.spm", "vocabulary.json", "merges.txt")),
    ),
    docs=DOCS,
)
"""The presets that ``hub:`` takes as captioners."""


@dataclass(frozen=True)
class Family:
    """How the models of one kind are asked for a caption.

    Attributes:
        task: Name of the class in ``keras_hub.models``.
        field: Name of the prompt among the inputs of its preprocessor.
        prompt: The prompt with which it was trained to caption; it is no part of the caption.
        asks: Whether the prompt is a request, which a prefix follows; otherwise a prefix replaces it.
        decodes: Whether the caption is made by a decoder of its own, which does not see the prompt.
        line: Whether a caption also ends with its line.
    """

    task: str
    field: str
    prompt: str
    asks: bool = False
    decodes: bool = False
    line: bool = False


_PALIGEMMA = Family("PaliGemmaCausalLM", "prompts", "caption en\n", asks=True)
_LANGUAGE_MODELS = {
    "BLIP2CustomOPT": Family("BLIP2CausalLM", "text", "a photo of", line=True),
    "BLIP2FlanT5": Family("BLIP2Seq2SeqLM", "encoder_text", "a photo of", decodes=True),
}
_PARTS = frozenset(
    {
        *KIND.classes,
        *("PaliGemmaCausalLM", "PaliGemmaCausalLMPreprocessor", "PaliGemmaImageConverter", "PaliGemmaTokenizer"),
        *("BLIP2CausalLM", "BLIP2CausalLMPreprocessor", "BLIP2Seq2SeqLM", "BLIP2Seq2SeqLMPreprocessor"),
        *("BLIP2ImageConverter", "BLIP2OPTTokenizer", "BLIP2FlanT5Tokenizer", "BLIP2VisionEncoder", "BLIP2QFormer"),
        *_LANGUAGE_MODELS,
    }
)
_PLAIN_PARTS = frozenset(
    {
        *("DTypePolicy", "DTypePolicyMap", "QuantizedDTypePolicy", "Dense"),
        *("GlorotUniform", "Zeros", "Ones", "RandomNormal", "TruncatedNormal", "VarianceScaling", "HeNormal"),
    }
)
_PATHS = ("proto", "vocabulary", "merges")  # of a tokenizer; a preset's own are in its folder
_LARGEST = 2**24  # number in a tree


@dataclass(frozen=True)
class CaptionerPreset:
    """A checked preset.

    Attributes:
        folder: Its folder.
        family: How it is asked for a caption.
        image_size: Height and width of the pixels, and how images are brought to it.
    """

    folder: Path
    family: Family
    image_size: ImageSize


def read_captioner_preset(folder: Path) -> CaptionerPreset:
    """Reads the description of an image-to-text preset.

    Args:
        folder: What ``save_to_preset`` of such a model of keras-hub wrote.

    Raises:
        CheckpointError: The folder is incomplete or damaged, holds another kind of model, or asks for other code.
    """
    config = read_config(folder, KIND)
    require_files(folder, KIND)
    trees = {name: read_json(folder / name, CheckpointError) for name in _described(folder)}
    for name, tree in trees.items():
        check_tree(tree, folder / name, _LARGEST, _require_known)
    require_shards_inside(folder)
    _require_enough_numbers(folder, config)
    return CaptionerPreset(folder, _family(folder, config), _image_size(folder, config, trees.get(CONVERTER, {})))


def _described(folder: Path) -> list[str]:
    return [name for name in (CONFIG, TASK, PREPROCESSOR, TOKENIZER, CONVERTER) if (folder / name).is_file()]


def _family(folder: Path, config: dict[str, Any]) -> Family:
    if config["class_name"] == "PaliGemmaBackbone":
        return _PALIGEMMA
    language_model = config["config"].get("language_model")
    name = language_model.get("class_name") if isinstance(language_model, dict) else None
    if not config["config"].get("vision_encoder") or name not in _LANGUAGE_MODELS:
        raise CheckpointError(
            f"{folder} holds a BLIP-2 without an image encoder or a language model: it cannot caption"
        )
    return _LANGUAGE_MODELS[name]


def _image_size(folder: Path, config: dict[str, Any], converter: dict[str, Any]) -> ImageSize:
    values = converter.get("config", {})
    encoder = config["config"].get("vision_encoder") or {}
    own = encoder.get("config", {}).get("image_size") if isinstance(encoder, dict) else None
    size = config["config"].get("image_size") or own
    height, width = size if isinstance(size, list) and len(size) == 2 else (size, size)
    if not (isinstance(height, int) and isinstance(width, int) and 1 <= height <= 2**13 and 1 <= width <= 2**13):
        raise CheckpointError(f"{folder / CONFIG} does not say which images it takes; {ADVICE}")
    if (given := values.get("image_size")) is not None and given not in ([height, width], height):
        raise CheckpointError(
            f"{folder}: images are brought to {given!r:.60}, but the network takes {height} x {width}; {ADVICE}"
        )
    if values.get("pad_to_aspect_ratio"):
        raise CheckpointError(f"{folder / CONVERTER}: pad_to_aspect_ratio is not supported")
    crops = bool(values.get("crop_to_aspect_ratio", False)) and height == width
    bicubic = values.get("interpolation", "bicubic") == "bicubic"
    return ImageSize(height, width, Resize("bicubic" if bicubic else "bilinear", height if crops else None))


def _require_known(value: dict[str, Any], path: Path) -> None:
    if named := next((key for key in _PATHS if isinstance(value.get(key), str)), None):
        raise CheckpointError(f"{path} names a file for {named}: a preset's own files are needed; {ADVICE}")
    name = value.get("class_name", value.get("registered_name"))
    if name is None and "module" not in value:
        return
    registered, module = value.get("registered_name"), str(value.get("module") or "keras")
    known = (
        (
            (name in _PARTS and module.startswith("keras_hub.") and registered == f"keras_hub>{name}")
            or (name in _PLAIN_PARTS and module.split(".")[0] == "keras" and registered in (None, name))
        )
        if isinstance(name, str)
        else False
    )
    if not known:
        raise CheckpointError(
            f"{path} asks for {escaped(f'{module}.{name}')[:80]}, which is no part of a captioner of keras-hub"
        )


def _require_enough_numbers(folder: Path, config: dict[str, Any]) -> None:
    """Raises CheckpointError if config.json describes a far larger network than the weights files hold."""
    from capsmith.vision.weights import count_numbers  # imports Keras

    try:
        found = sum(count_numbers(path) for path in sorted(folder.glob("model*.weights.h5")))
    except FeatureError as error:
        raise CheckpointError(f"{str(error).removeprefix('encoder weights ')}; {ADVICE}") from error
    needed = _least(config["config"])
    if needed > found:
        raise CheckpointError(
            f"{folder} holds {found:,} numbers, but {CONFIG} describes a model of more than {needed:,}; {ADVICE}"
        )


def _least(config: dict[str, Any]) -> int:
    """Returns a lower bound of the numbers of a network and of the networks within it."""

    def number(name: str) -> int:
        value = config.get(name)
        return value if isinstance(value, int) else 0

    hidden = number("hidden_dim")
    own = hidden * (number("vocabulary_size") + number("num_layers") * number("intermediate_dim"))
    own += number("vit_num_layers") * number("vit_hidden_dim") * number("vit_intermediate_dim")
    parts = (part.get("config") for part in config.values() if isinstance(part, dict))
    return own + sum(_least(part) for part in parts if isinstance(part, dict))
