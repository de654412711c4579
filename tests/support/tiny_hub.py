"""Image encoders of keras-hub with random weights, small enough for tests, saved as keras-hub saves real ones."""

from pathlib import Path
from typing import Any

SIDE, WIDTH = 32, 16
"""Pixels of an image's side, and channels of a token."""


def save_tiny(kind: str, folder: Path, seed: int = 0, converter: bool = True, **changed: Any) -> Any:
    """Saves a preset with patches of 8 pixels and two layers, and returns the backbone that keras-hub loads from it.

    Args:
        kind: ``vit``, ``dinov2``, ``dinov3`` or ``siglip``.
        folder: Where it is saved.
        seed: Seed of the weights.
        converter: Whether it gets an ``image_converter.json``.
        **changed: Other arguments of the backbone, such as ``num_register_tokens``.
    """
    import keras
    import keras_hub

    models, hub_layers = keras_hub.models, keras_hub.layers
    keras.utils.set_random_seed(seed)
    blocks = {"num_layers": 2, "num_heads": 2, "hidden_dim": WIDTH}
    image = {"patch_size": 8, "image_shape": (SIDE, SIDE, 3)}
    if kind == "vit":
        backbone = models.ViTBackbone(mlp_dim=24, **(image | blocks | changed))
        made = hub_layers.ViTImageConverter
    elif kind == "dinov2":
        own = {"intermediate_dim": 24, "position_embedding_shape": (SIDE, SIDE)}
        backbone = models.DINOV2Backbone(**(image | blocks | own | changed))
        made = hub_layers.DINOV2ImageConverter
    elif kind == "dinov3":
        backbone = models.DINOV3Backbone(**(image | blocks | {"intermediate_dim": 24} | changed))
        made = hub_layers.DINOV3ImageConverter
    else:
        tower = models.SigLIPVisionEncoder(intermediate_dim=24, **(image | blocks))
        text = {"vocabulary_size": 50, "embedding_dim": WIDTH, "intermediate_dim": 24, "max_sequence_length": 9}
        backbone = models.SigLIPBackbone(tower, models.SigLIPTextEncoder(**(text | blocks)))
        made = hub_layers.SigLIPImageConverter
    random_weights(backbone, seed)
    backbone.save_to_preset(str(folder))
    if converter:
        scale, offset = [1 / 255 / 0.25, 1 / 255 / 0.26, 1 / 255 / 0.27], [-0.48 / 0.25, -0.45 / 0.26, -0.4 / 0.27]
        made(image_size=(SIDE, SIDE), scale=scale, offset=offset).save_to_preset(str(folder))
    return type(backbone).from_preset(str(folder))


def random_weights(backbone: Any, seed: int) -> None:
    """Sets all weights to random values: those of tokens and biases are 0 at first, which would hide mistakes."""
    import numpy as np

    random = np.random.default_rng(seed)
    for weight in backbone.weights:
        if "float" in str(weight.dtype) and "interpolated" not in weight.path:
            weight.assign(np.asarray(weight) + random.normal(0, 0.2, weight.shape))
