"""Checks that a decoder from outside speaks the protocol of ``base.py``, before hours are spent on it.

P images · B captions · T tokens · V vocabulary.
"""

import inspect
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from capsmith.core.errors import PluginError
from capsmith.core.loaded_plugins import plugin_errors
from capsmith.data.text.vocabulary import END, START

_METHODS = {
    "call": ("features", "tokens", "image", "training", "shown"),
    "start": ("features",),
    "step": ("tokens", "state", "shown"),
}
_IMAGES, _EACH, _LENGTH = 2, 2, 3


def require_protocol(decoder: Any, name: str, feature_shape: tuple[int, ...], size: int) -> None:
    """Asks a decoder about random images and words, the whole sentence at once and word by word.

    Args:
        decoder: Not yet trained; it is built by this.
        name: Its type, for messages.
        feature_shape: (D,) or (L, D).
        size: V.

    Raises:
        PluginError: It lacks a method, gives logits of another shape, or the two ways do not agree.
    """
    what = f"decoder '{name}'"
    if not isinstance(decoder, keras.layers.Layer):
        raise PluginError(f"{what} is a {type(decoder).__name__}: a keras.layers.Layer is needed")
    for method, arguments in _METHODS.items():
        if not _takes(getattr(decoder, method, None), arguments):
            raise PluginError(f"{what} has no {method}({', '.join(arguments)}), see capsmith.models.decoders.base")
    if not isinstance(getattr(decoder, "kept", None), int):
        raise PluginError(f"{what} has no number kept: how many tensors of its state belong to the images")
    rng = np.random.default_rng(0)
    features = rng.normal(size=(_IMAGES, *feature_shape)).astype(np.float32)
    words = rng.integers(min(END + 1, size - 1), size, (_IMAGES * _EACH, _LENGTH - 1))
    tokens = np.concatenate([np.full((len(words), 1), START), words], axis=1).astype(np.int32)
    with plugin_errors("decoder", name):
        whole = _numbers(decoder(features, tokens))
    if whole.shape != (*tokens.shape, size):
        raise PluginError(f"{what}: call gives logits {whole.shape}, {(*tokens.shape, size)} are needed: (B, T, V)")
    with plugin_errors("decoder", name):
        steps = _step_by_step(decoder, features, tokens)
    if steps.shape != whole.shape:
        raise PluginError(f"{what}: step gives logits {steps.shape[::2]}, {whole.shape[::2]} are needed: (N, V)")
    coarse = "float32" not in str(decoder.compute_dtype)
    apart = np.abs(whole - steps).max(axis=(0, 2)) > (0.1 if coarse else 1e-3) * (1 + np.abs(whole).max())
    if apart.any():
        raise PluginError(
            f"{what}: at word {int(apart.argmax()) + 1} step gives other logits than call: it would be trained on one "
            "model and write with another"
        )


def _takes(method: Callable[..., Any] | None, arguments: tuple[str, ...]) -> bool:
    if method is None:
        return False
    parameters = inspect.signature(method).parameters.values()
    names = {parameter.name for parameter in parameters}
    return set(arguments) <= names or any(one.kind is one.VAR_KEYWORD for one in parameters)


def _step_by_step(decoder: Any, features: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Returns the logits (B, T, V) as a search asks for them: the first ``kept`` tensors stay one for each image."""
    state = decoder.start(features)
    each = len(tokens) // len(features)
    state = (*state[: decoder.kept], *(keras.ops.repeat(tensor, each, axis=0) for tensor in state[decoder.kept :]))
    found = []
    for position in range(tokens.shape[1]):
        logits, state = decoder.step(keras.ops.convert_to_tensor(tokens[:, position]), state, None)
        found.append(_numbers(logits))
    return np.stack(found, axis=1)


def _numbers(tensor: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32")))
