"""Untrained captioners with every kind of decoder."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from capsmith import Captioner, load_config
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.models.caption_model import build_model
from capsmith.models.keras_member import KerasMember
from capsmith.vision.encoder import build_encoder
from tests.support import shapes

VOCABULARY = Vocabulary.build([["a", "red", "bar"]])
DECODERS = {
    "merge": {"type": "merge"},
    "merge, tied": {"type": "merge", "fusion": "concat", "tie_embeddings": True, "standardise": True},
    "inject init": {"type": "inject", "layers": 2, "layer_norm": True},
    "inject pre": {"type": "inject", "mode": "pre", "cell": "gru"},
    "inject par": {"type": "inject", "mode": "par"},
    "attention": {"type": "attention", "attention_units": 8},
    "updown": {"type": "updown", "attention_units": 8, "heads": 2},
    "aoa": {"type": "aoa", "attention_units": 8, "heads": 2, "standardise": True},
    "aoa, no input feeding": {"type": "aoa", "attention_units": 8, "heads": 2, "input_feeding": False},
}


def built_captioner(decoder: str, encoder: dict[str, Any] | None = None) -> Captioner:
    """Returns an untrained captioner with one of the ``DECODERS``."""
    values = shapes.settings(encoder={"output": "grid", "image_size": 48, **(encoder or {})})
    values["decoder"] = {"units": 16, "embedding": {"size": 8}, **DECODERS[decoder]}
    config = load_config(values)
    built = build_encoder(config.encoder)
    model = build_model(config, VOCABULARY, built.feature_shape, built)
    return Captioner([KerasMember(config, VOCABULARY, model, built.feature_shape, built)])


def count(weights: Iterable[Any]) -> int:
    """Returns the number of parameters."""
    return sum(int(np.prod(weight.shape)) for weight in weights)
