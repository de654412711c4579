"""Recurrent networks over sentences in NumPy; the functions equal the Keras layers of ``models.decoders.recurrence``.

B sentences · T words · E channels of a word · U units · G gate channels (4 U for an LSTM, 3 U for a GRU).
"""

from collections.abc import Callable

import numpy as np

GATES = {"lstm": 4, "gru": 3}


def states(kind: str, z_BTG: np.ndarray, kernel_UG: np.ndarray) -> np.ndarray:  # noqa: N803
    """Returns the outputs (B, T, U) of a recurrent layer that starts at zero.

    Args:
        kind: ``lstm`` or ``gru``.
        z_BTG: Products of the inputs and the kernel, with the bias.
        kernel_UG: The recurrent kernel.
    """
    rows, length, _ = z_BTG.shape
    state = [np.zeros((rows, len(kernel_UG)), np.float32) for _ in range(2)]
    outputs = np.empty((rows, length, len(kernel_UG)), np.float32)
    for step in range(length):
        state = _STEPS[kind](z_BTG[:, step], state, kernel_UG)
        outputs[:, step] = state[0]
    return outputs


def _lstm(z: np.ndarray, state: list[np.ndarray], kernel: np.ndarray) -> list[np.ndarray]:
    h, c = state
    i, f, candidate, o = np.split(z + h @ kernel, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(candidate)
    return [sigmoid(o) * np.tanh(c), c]


def _gru(z: np.ndarray, state: list[np.ndarray], kernel: np.ndarray) -> list[np.ndarray]:
    h, unused = state
    xz, xr, xh = np.split(z, 3, axis=-1)
    hz, hr, hh = np.split(h @ kernel, 3, axis=-1)
    keep = sigmoid(xz + hz)
    return [keep * h + (1 - keep) * np.tanh(xh + sigmoid(xr + hr) * hh), unused]


_STEPS: dict[str, Callable[[np.ndarray, list[np.ndarray], np.ndarray], list[np.ndarray]]] = {
    "lstm": _lstm,
    "gru": _gru,
}


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Returns the logistic function; it overflows for no finite number."""
    result: np.ndarray = 0.5 * (1 + np.tanh(0.5 * x))
    return result


def reversed_within(x_BT: np.ndarray, lengths_B: np.ndarray) -> np.ndarray:  # noqa: N803
    """Returns sentences (B, T, …) whose words are in reverse order; padding after them stays where it is."""
    places = np.arange(x_BT.shape[1])
    source = np.where(places < lengths_B[:, None], lengths_B[:, None] - 1 - places, places)
    result: np.ndarray = x_BT[np.arange(len(x_BT))[:, None], source]
    return result
