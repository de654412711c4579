"""Data parallelism on the devices of one machine: each device computes a part of the global batch.

JAX divides arrays by itself (GSPMD): variables are copies on every device, the arrays of a batch are divided along
their first axis, and the compiler adds the communication. The result is that of one device, dropout included.
TensorFlow computes the parts in one graph and adds their gradients on the first device, which holds the variables.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from capsmith.core.errors import ConfigError

KEY = "training.distribute"


def training_devices(distribute: str) -> list[str]:
    """Returns the devices that a training uses, such as ``gpu:0``; the first one holds the variables.

    Args:
        distribute: The value of ``training.distribute``.

    Raises:
        ConfigError: The backend cannot distribute.
    """
    if distribute == "none":
        return []
    backend = keras.backend.backend()
    if backend not in ("jax", "tensorflow"):
        raise ConfigError(f"{KEY}: {distribute} needs KERAS_BACKEND=jax or tensorflow; with {backend}, set none")
    if backend == "jax":
        import jax

        if jax.process_count() > 1:
            raise ConfigError(f"{KEY}: {distribute} uses the devices of one process, but JAX was started with several")
        return [str(device) for device in keras.distribution.list_devices()]
    import tensorflow as tf

    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return [device.name.removeprefix("/device:").lower() for device in devices]


@contextmanager
def distributed(devices: Sequence[str]) -> Iterator[None]:
    """Builds models on several devices inside the block: on JAX, their variables become copies on each.

    Args:
        devices: Result of ``training_devices``.
    """
    if len(devices) < 2 or keras.backend.backend() != "jax":
        yield
        return
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(_layout_of(devices))
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)


def _layout_of(devices: Sequence[str]) -> Any:
    class Divided(keras.distribution.DataParallel):
        """Divides arrays along their first axis, if the number of devices divides it; copies the others."""

        def get_data_layout(self, data_shape: Sequence[int]) -> Any:
            if data_shape and data_shape[0] and data_shape[0] % len(devices) == 0:
                return super().get_data_layout(data_shape)
            return keras.distribution.TensorLayout([None] * len(data_shape), self.device_mesh)

    return Divided(devices=list(devices), auto_shard_dataset=False)


def divided(value: Any) -> Any:
    """Returns a NumPy array as a JAX array that is divided among the devices of ``distributed``; others unchanged."""
    if not isinstance(value, np.ndarray):
        return value
    import jax

    layout = keras.distribution.distribution().get_data_layout(value.shape)
    return jax.device_put(value, layout.backend_layout)


Part = tuple[dict[str, Any], np.ndarray, float, float]
"""Inputs and targets of one device, and the shares of its words and of its captions in the global batch."""


def parts_of(inputs: dict[str, Any], targets: np.ndarray, count: int, pad: int = 0) -> list[Part]:
    """Divides a batch of captions by images, P images and B captions; parts without a word are left out.

    A mean over the words of the batch is the sum of the means of the parts, each weighted by its share of the words; a
    mean over captions likewise. A caption without a word is padding.

    Args:
        inputs: ``features`` (P, …), ``tokens`` (B, T), ``image`` (B,) or none: then the captions of image p start at
            row p · B / P; and arrays with B or P rows.
        targets: (B, T).
        count: Number of parts, at most.
        pad: The target without a loss.
    """
    images, captions = len(inputs["features"]), len(targets)
    grouped = "image" not in inputs
    words_B = np.count_nonzero(targets != pad, axis=1)
    parts = []
    for chosen in np.array_split(np.arange(images if grouped else captions), count):
        if grouped:
            each = captions // images
            rows, used = (chosen[:, None] * each + np.arange(each)).ravel(), chosen
            more = {}
        else:
            rows = chosen
            used, place = np.unique(inputs["image"][rows], return_inverse=True)
            more = {"image": place.astype(np.int32)}
        mine = words_B[rows]
        if mine.any():
            part = {name: _taken(value, name, rows, used) for name, value in inputs.items()} | more
            shares = float(mine.sum() / words_B.sum()), float(np.count_nonzero(mine) / np.count_nonzero(words_B))
            parts.append((part, targets[rows], *shares))
    return parts


def _taken(value: Any, name: str, rows: np.ndarray, images: np.ndarray) -> Any:
    if name == "dropout_masks":
        return tuple(mask[images] for mask in value)
    chosen = images if name == "features" else rows
    return value[chosen] if isinstance(value, np.ndarray) else keras.ops.take(value, chosen, axis=0)  # of a teacher


def on_device(device: str) -> str:
    """Returns TensorFlow's name of a device."""
    kind, _, number = device.rpartition(":")
    return f"/{kind.upper()}:{number}"
