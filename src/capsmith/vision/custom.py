"""A Keras model of one's own as the encoder, read without running code from its file."""

from pathlib import Path
from typing import Any

import keras

from capsmith.core.errors import FeatureError, one_line
from capsmith.core.readers.archives import UNCHECKED_SIZE, open_archive, read_member, verify_members
from capsmith.core.readers.json_files import parse_json
from capsmith.core.readers.regular_files import describe_special
from capsmith.vision.networks import cut
from capsmith.vision.weights import require_readable


def load_custom(path: Path, layer: str | None, size: tuple[int, int] | None) -> keras.Model:
    """Loads a ``.keras`` model and cuts it.

    Args:
        path: A whole Keras model with one image input (B, H, W, 3).
        layer: Where to cut; None keeps all of it.
        size: Height and width wanted; None takes the model's own.

    Raises:
        FeatureError: The file is missing or damaged, holds code, or its input is not images of that size.
    """
    _refuse_code(path)
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds; the file is the cause of all
        raise FeatureError(f"encoder model {path} cannot be loaded: {one_line(error)[:200]}") from error
    inputs = getattr(model, "inputs", None) or []
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].shape[3] != 3:
        raise FeatureError(f"encoder model {path}: it must have one input of images (B, H, W, 3)")
    fixed = inputs[0].shape[1:3]
    if size is None and None in fixed:
        raise FeatureError(f"encoder model {path} takes any image size: set encoder.image_size")
    if size is not None and any(own not in (None, given) for own, given in zip(fixed, size, strict=True)):
        raise FeatureError(f"encoder.image_size: {size} given, but {path} takes {tuple(fixed)}")
    return cut(model, layer)


def _refuse_code(path: Path) -> None:
    """Looks for anything but Keras's own or registered layers before Keras sees the file."""
    if not path.is_file():
        raise FeatureError(f"encoder model {path}: {describe_special(path) or 'no such file'}")
    require_readable(path, "encoder model ", FeatureError)
    try:
        with open_archive(path) as archive:
            culprit = _code(parse_json(read_member(archive, "config.json", UNCHECKED_SIZE)))
            verify_members(archive)  # Keras trusts the sizes that the archive lists
    except (OSError, ValueError) as error:
        why = one_line(error)[:200]
        raise FeatureError(f"encoder model {path}: damaged, or not a .keras file ({why})") from error
    if culprit:
        raise FeatureError(
            f"encoder model {path} is refused: it contains {culprit}, which would run code from the file; "
            "rebuild it of Keras's own layers"
        )


def _code(value: Any) -> str | None:
    if isinstance(value, list):
        return next((found for item in value if (found := _code(item))), None)
    if not isinstance(value, dict):
        return None
    name, module = value.get("class_name"), value.get("module")
    if name in ("Lambda", "__lambda__"):
        return "a Lambda layer"
    if name == "function" and module != "builtins":  # a call of any function that a module has, of Keras's own too
        return f"{module}.{value.get('config')}"
    foreign = isinstance(module, str) and module != "builtins" and module.split(".")[0] != "keras"
    if foreign and keras.saving.get_registered_object(value.get("registered_name")) is None:
        return f"{module}.{name}"
    return next((found for item in value.values() if (found := _code(item))), None)
