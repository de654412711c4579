"""Checks that a custom decoder implements the protocol of ``base.py``, before it is trained.

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
    "call": ("features", "tokens", "image", "training", "dropout_masks"),
    "start": ("features",),
    "step": ("tokens", "state", "dropout_masks"),
}
_IMAGES, _EACH, _LENGTH = 2, 2, 3


def require_protocol(decoder: Any, name: str, feature_shape: tuple[int, ...], size: int) -> None:
    """Compares teacher forcing and single steps of a decoder on random images and words.

    Args:
        decoder: An untrained decoder. The check builds it.
        name: Its type, for messages.
        feature_shape: (D,) or (L, D).
        size: V.

    Raises:
        PluginError: The decoder lacks a method, returns logits of another shape, or the two results differ.
    """
    what = f"decoder '{name}'"
    if not isinstance(decoder, keras.layers.Layer):
        raise PluginError(f"{what} is a {type(decoder).__name__}, not a keras.layers.Layer")
    for method, arguments in _METHODS.items():
        if not _takes(getattr(decoder, method, None), arguments):
            raise PluginError(f"{what} has no {method}({', '.join(arguments)}), see capsmith.models.decoders.base")
    if not isinstance(getattr(decoder, "n_static", None), int):
        raise PluginError(f"{what} has no integer n_static: the number of state tensors that belong to the images")
    rng = np.random.default_rng(0)
    features = rng.normal(size=(_IMAGES, *feature_shape)).astype(np.float32)
    words = rng.integers(min(END + 1, size - 1), size, (_IMAGES * _EACH, _LENGTH - 1))
    tokens = np.concatenate([np.full((len(words), 1), START), words], axis=1).astype(np.int32)
    with plugin_errors("decoder", name):
        expected = _numbers(decoder(features, tokens))
    if expected.shape != (*tokens.shape, size):
        raise PluginError(f"{what}: call returns logits {expected.shape} instead of {(*tokens.shape, size)}: (B, T, V)")
    with plugin_errors("decoder", name):
        steps = _step_by_step(decoder, features, tokens)
    if steps.shape != expected.shape:
        raise PluginError(f"{what}: step returns logits {steps.shape[::2]} instead of {expected.shape[::2]}: (N, V)")
    coarse = "float32" not in str(decoder.compute_dtype)
    different = np.abs(expected - steps).max(axis=(0, 2)) > (0.1 if coarse else 1e-3) * (1 + np.abs(expected).max())
    if different.any():
        raise PluginError(
            f"{what}: at word {int(different.argmax()) + 1} step and call return different logits: captions would not "
            "come from the trained model"
        )


def _takes(method: Callable[..., Any] | None, arguments: tuple[str, ...]) -> bool:
    if method is None:
        return False
    parameters = inspect.signature(method).parameters.values()
    names = {parameter.name for parameter in parameters}
    return set(arguments) <= names or any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)


def _step_by_step(decoder: Any, features: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Returns the logits (B, T, V) of single steps, with ``n_static`` state tensors for each image as in a search."""
    state = decoder.start(features)
    each = len(tokens) // len(features)
    state = (
        *state[: decoder.n_static],
        *(keras.ops.repeat(tensor, each, axis=0) for tensor in state[decoder.n_static :]),
    )
    all_logits = []
    for position in range(tokens.shape[1]):
        logits, state = decoder.step(keras.ops.convert_to_tensor(tokens[:, position]), state, None)
        all_logits.append(_numbers(logits))
    return np.stack(all_logits, axis=1)


def _numbers(tensor: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32")))
