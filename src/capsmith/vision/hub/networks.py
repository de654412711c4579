"""Builds image encoders of keras-hub from checked numbers, and loads their weights.

P images · L patches · D channels of a token.
"""

import contextlib
from pathlib import Path
from typing import Any

import keras
from keras import layers, ops

from capsmith.core.errors import CheckpointError, FeatureError, one_line, out_of_memory
from capsmith.vision.hub.description import HubEncoder, projection_size, text_numbers
from capsmith.vision.hub.families import KIND
from capsmith.vision.hub.numbers import Blocks, Dino2
from capsmith.vision.hub.presets import ADVICE, import_keras_hub, weights_file
from capsmith.vision.weights import count_numbers, count_parameters, first_not_finite, load_weights_file


def preset_core(encoder: HubEncoder, folder: Path, grid: bool) -> keras.Model:
    """Builds an encoder with the weights of its preset.

    Args:
        encoder: What to build.
        folder: The preset.
        grid: Whether the features are those of the patches.

    Returns:
        From scaled pixels (P, H, W, 3) to a grid (P, rows, columns, D) or to vectors (P, D).

    Raises:
        CheckpointError: The weights are damaged, or do not fit the numbers.
        MissingExtraError: keras-hub is not installed.
    """
    models = import_keras_hub(KIND.prefix, KIND.extra).models
    text = text_numbers(folder, encoder.family)
    _require_enough_numbers(folder, [encoder.numbers, *([text] if text is not None else [])])
    with _explained(folder):
        tower = _tower(models, encoder)
        backbone = tower if text is None else _joint(models, encoder, tower, text, folder)
    _load(backbone, encoder, weights_file(folder))
    return _core(encoder, tower, grid)


def saved_core(encoder: HubEncoder, path: Path, grid: bool) -> keras.Model:
    """Builds an encoder with the weights that a run keeps; see ``preset_core``.

    Raises:
        FeatureError: The weights are damaged, or do not fit.
    """
    models = import_keras_hub(KIND.prefix, KIND.extra).models
    core = _core(encoder, _tower(models, encoder), grid)
    load_weights_file(core, path)
    return core


def _tower(models: Any, encoder: HubEncoder) -> Any:
    """Returns the untrained image encoder."""
    numbers = encoder.numbers.model_dump() | {"image_shape": (encoder.side, encoder.side, 3)}
    kind = getattr(models, encoder.family.tower or encoder.family.backbone)
    return kind(**numbers, data_format="channels_last")


def _joint(models: Any, encoder: HubEncoder, tower: Any, text: Blocks, folder: Path) -> Any:
    """Returns the untrained model of image encoder and text encoder, whose weights are in one file."""
    if encoder.family.backbone == "CLIPBackbone":
        return models.CLIPBackbone(tower, models.CLIPTextEncoder(**text.model_dump()), projection_size(folder))
    return models.SigLIPBackbone(tower, models.SigLIPTextEncoder(**text.model_dump()))


def _core(encoder: HubEncoder, tower: Any, grid: bool) -> keras.Model:
    """Returns the model from scaled pixels to the wanted features. Class and register tokens are no regions."""
    pixels = keras.Input((encoder.side, encoder.side, 3), name="scaled_pixels")
    if not encoder.family.leading_pooled and grid:
        tower = keras.Model(tower.inputs, tower.post_layer_norm.output, name="patches")
    names = list(tower.input) if isinstance(tower.input, dict) else []
    tokens = tower({names[0]: pixels} if names else pixels)
    if grid:
        patches = tokens[:, encoder.numbers.leading :]
        shape = (-1, encoder.cells, encoder.cells, patches.shape[-1])
        features = ops.reshape(patches, shape)  # not the layer Reshape: SigLIP states a patch more than it has
    elif not encoder.family.leading_pooled:
        features = tokens
    elif encoder.numbers.leading:
        features = tokens[:, 0]
    else:  # a ViT without class token
        features = layers.GlobalAveragePooling1D(name="mean_of_patches")(tokens)
    return keras.Model(pixels, features, name="core")


@contextlib.contextmanager
def _explained(folder: Path) -> Any:
    try:
        yield
    except Exception as error:  # Keras raises many kinds for numbers that do not belong together
        if out_of_memory(error):
            raise CheckpointError(f"{folder}: the model is too large for this machine's memory") from error
        raise CheckpointError(f"{folder} is damaged: {one_line(error)[:200]}; {ADVICE}") from error


def _load(backbone: Any, encoder: HubEncoder, path: Path) -> None:
    try:
        if path.suffix != ".h5":
            backbone.load_weights(str(path))
        elif (interpolated := _interpolated(encoder)) == 0:
            load_weights_file(backbone, path)
        elif (found := count_numbers(path)) != (expected := count_parameters(backbone) - interpolated):
            raise CheckpointError(f"{path} holds {found:,} numbers, but config.json describes {expected:,}; {ADVICE}")
        else:
            backbone.load_weights(path)
        if name := first_not_finite(backbone):
            raise CheckpointError(f"{path} is damaged: {name} contains NaN or infinity; {ADVICE}")
    except FeatureError as error:
        raise CheckpointError(f"{str(error).removeprefix('encoder weights ')}; {ADVICE}") from error
    except CheckpointError:
        raise
    except Exception as error:  # a shard is missing or damaged
        raise CheckpointError(f"{path}: {one_line(error)[:200]}; {ADVICE}") from error


def _interpolated(encoder: HubEncoder) -> int:
    """Returns by how many numbers the positions of DINOv2 exceed those of its file, which are of the preset's size."""
    numbers = encoder.numbers
    if not isinstance(numbers, Dino2):
        return 0
    return int((encoder.cells**2 - (numbers.image_shape[0] // numbers.patch) ** 2) * numbers.hidden_dim)


def _require_enough_numbers(folder: Path, parts: list[Blocks]) -> None:
    """Raises CheckpointError if config.json describes a far larger network than the weights file holds."""
    path = weights_file(folder)
    if path.suffix != ".h5":
        return
    try:
        found = count_numbers(path)
    except FeatureError as error:
        raise CheckpointError(f"{str(error).removeprefix('encoder weights ')}; {ADVICE}") from error
    needed = sum(part.least for part in parts)
    if needed > found:
        raise CheckpointError(
            f"{path} holds {found:,} numbers, but {folder / 'config.json'} describes a model of more than {needed:,}; "
            f"{ADVICE}"
        )
