"""A custom Keras model as the encoder, loaded without running code from its file."""

from pathlib import Path
from typing import Any

import keras

from capsmith.core.errors import FeatureError, one_line
from capsmith.core.readers.archives import UNCHECKED_SIZE, open_archive, read_member, verify_members
from capsmith.core.readers.json_files import parse_json
from capsmith.core.readers.regular_files import describe_special
from capsmith.vision.networks import truncate
from capsmith.vision.weights import require_readable


def load_custom(path: Path, layer: str | None, size: tuple[int, int] | None) -> keras.Model:
    """Loads a ``.keras`` model up to a layer.

    Args:
        path: A complete Keras model with one image input (B, H, W, 3).
        layer: The layer whose output is used; None for the model's output.
        size: Height and width of the input; None for the model's own.

    Raises:
        FeatureError: The file is missing or damaged, contains code, or its input is not an image of that size.
    """
    _refuse_code(path)
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds, all caused by the file
        raise FeatureError(f"encoder model {path} cannot be loaded: {one_line(error)[:200]}") from error
    inputs = getattr(model, "inputs", None) or []
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].shape[3] != 3:
        raise FeatureError(f"encoder model {path}: it must have one image input (B, H, W, 3)")
    fixed = inputs[0].shape[1:3]
    if size is None and None in fixed:
        raise FeatureError(f"encoder model {path} takes any image size: set encoder.image_size")
    if size is not None and any(own not in (None, side) for own, side in zip(fixed, size, strict=True)):
        raise FeatureError(f"encoder.image_size is {size}, but {path} takes {tuple(fixed)}")
    return truncate(model, layer)


def _refuse_code(path: Path) -> None:
    """Raises FeatureError unless the file contains only Keras's own or registered layers, before Keras reads it."""
    if not path.is_file():
        raise FeatureError(f"encoder model {path}: {describe_special(path) or 'no such file'}")
    require_readable(path, "encoder model ", FeatureError)
    try:
        with open_archive(path) as archive:
            culprit = _find_code(parse_json(read_member(archive, "config.json", UNCHECKED_SIZE)))
            verify_members(archive)  # Keras trusts the sizes in the archive's directory
    except (OSError, ValueError) as error:
        reason = one_line(error)[:200]
        raise FeatureError(f"encoder model {path}: damaged, or not a .keras file ({reason})") from error
    if culprit:
        raise FeatureError(
            f"encoder model {path} is refused: it contains {culprit}, which would run code from the file; "
            "rebuild it from Keras's own layers"
        )


def _find_code(value: Any) -> str | None:
    """Returns the first part of a model's config that would run code, or None."""
    if isinstance(value, list):
        return next((code for item in value if (code := _find_code(item))), None)
    if not isinstance(value, dict):
        return None
    name, module = value.get("class_name"), value.get("module")
    if name in ("Lambda", "__lambda__"):
        return "a Lambda layer"
    if name == "function" and module != "builtins":  # calls any function of a module, even of Keras
        return f"{module}.{value.get('config')}"
    foreign = isinstance(module, str) and module != "builtins" and module.split(".")[0] != "keras"
    if foreign and keras.saving.get_registered_object(value.get("registered_name")) is None:
        return f"{module}.{name}"
    return next((code for item in value.values() if (code := _find_code(item))), None)
