"""The two networks of a joint embedding in NumPy: one for images, one for texts. ``models.embedding`` trains them.

N images or texts · L regions · D feature channels · W inputs of the image head · T words · E channels of a word ·
H hidden units · U recurrent units · d dimensions of the joint space.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from capsmith.data.text.vocabulary import PAD
from capsmith.retrieval.principal_components import unit
from capsmith.retrieval.recurrence import reversed_within, states

Arrays = Mapping[str, np.ndarray]
ImagePooling = Literal["mean", "max", "mean_max", "attention"]
TextPooling = Literal["max", "mean", "last", "mean_max"]


def pooled_input(features: np.ndarray, pooling: ImagePooling) -> np.ndarray:
    """Returns what an image head reads, float32: (N, W), or for ``attention`` the regions (N, L, D).

    Args:
        features: Features (N, D) or (N, L, D). Vectors are not pooled.
        pooling: How regions are pooled.
    """
    features = np.asarray(features, np.float32)
    if features.ndim == 2 or pooling == "attention":
        return features
    if pooling == "mean":
        return features.mean(axis=1)
    if pooling == "max":
        return features.max(axis=1)
    return np.concatenate([features.mean(axis=1), features.max(axis=1)], axis=1)


@dataclass(frozen=True)
class ImageHead:
    """Maps features to the joint space.

    Attributes:
        pooling: How regions are pooled.
        arrays: ``mean`` and ``scale`` (W,), ``kernel`` (W, d), ``bias`` (d,); with a hidden layer also
            ``hidden_kernel`` (W, H), ``hidden_bias`` (H,), ``output_kernel`` (H, d); with attention also
            ``attention_kernel`` (W, A), ``attention_bias`` (A,), ``attention_query`` (A,).
    """

    pooling: ImagePooling
    arrays: Arrays

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Returns unit vectors (N, d), float32, of features (N, D) or (N, L, D)."""
        return self.of_pooled(pooled_input(features, self.pooling))

    def of_pooled(self, inputs: np.ndarray) -> np.ndarray:
        """Returns unit vectors (N, d), float32, of the result of ``pooled_input``."""
        a = self.arrays
        x = (np.asarray(inputs, np.float32) - a["mean"]) * a["scale"]
        if "attention_kernel" in a and x.ndim == 3:
            scores = np.tanh(x @ a["attention_kernel"] + a["attention_bias"]) @ a["attention_query"]
            weights = np.exp(scores - scores.max(axis=1, keepdims=True))
            x = np.einsum("nl,nlw->nw", weights / weights.sum(axis=1, keepdims=True), x)
        y = x @ a["kernel"] + a["bias"]
        if "hidden_kernel" in a:
            y = y + np.maximum(x @ a["hidden_kernel"] + a["hidden_bias"], 0) @ a["output_kernel"]
        return unit(y).astype(np.float32)


@dataclass(frozen=True)
class TextHead:
    """Maps the words of a text to the joint space.

    Attributes:
        cell: ``gru`` or ``lstm``; empty without a recurrent layer.
        pooling: How the outputs of the recurrent layer are pooled over words.
        arrays: ``words`` (V, E) and ``bias`` (d,); of a recurrent layer ``forward_kernel`` (E, G),
            ``forward_recurrent`` (U, G), ``forward_bias`` (G,), the same of ``backward``, and ``kernel`` (…, d); of
            convolutions over w words ``convolution_w_kernel`` (w E, F), ``convolution_w_bias`` (F,), and ``kernel``; of
            a bag of words ``bag_kernel`` (E, d), and with a hidden layer ``hidden_kernel`` (E, H), ``hidden_bias``
            (H,), ``output_kernel`` (H, d).
    """

    cell: Literal["gru", "lstm", ""]
    pooling: TextPooling
    arrays: Arrays

    def __call__(self, tokens: np.ndarray) -> np.ndarray:
        """Returns unit vectors (N, d), float32, of token ids (N, T) without start and end; 0 is padding at the end."""
        a, mask = self.arrays, np.asarray(tokens) != PAD
        x = np.asarray(a["words"], np.float32)[tokens]
        y = np.zeros((len(x), len(a["bias"])), np.float32) + a["bias"]
        if self.widths:
            y = y + self._convolved(x * mask[..., None], mask) @ a["kernel"]
        if self.cell:
            y = y + self._pooled(self._recurrent(x, mask), mask) @ a["kernel"]
        if "bag_kernel" in a:
            bag = bag_of_words(x, mask)
            y = y + bag @ a["bag_kernel"]
            if "hidden_kernel" in a:
                y = y + np.maximum(bag @ a["hidden_kernel"] + a["hidden_bias"], 0) @ a["output_kernel"]
        return unit(y).astype(np.float32)

    @property
    def widths(self) -> list[int]:
        """The widths of the convolutions, in words."""
        kernels = [name.split("_") for name in self.arrays if name.startswith("convolution_")]
        return sorted({int(parts[1]) for parts in kernels})

    def _convolved(self, x: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Returns the highest output of each filter over the windows that begin with a word, (N, widths · F)."""
        found = []
        for width in self.widths:
            kernel, bias = (self.arrays[f"convolution_{width}_{part}"] for part in ("kernel", "bias"))
            outputs = np.maximum(windows(x, width) @ kernel + bias, 0)
            found.append((outputs * mask[..., None]).max(axis=1))
        return np.concatenate(found, axis=1)

    def _recurrent(self, x: np.ndarray, mask: np.ndarray) -> list[np.ndarray]:
        """Returns the outputs (N, T, U) of each direction."""
        lengths, outputs = mask.sum(axis=1), []
        for direction in ("forward", "backward"):
            if f"{direction}_kernel" not in self.arrays:
                continue
            kernel, recurrent, bias = (self.arrays[f"{direction}_{part}"] for part in ("kernel", "recurrent", "bias"))
            own = x if direction == "forward" else reversed_within(x, lengths)
            h = states(self.cell, own @ kernel + bias, recurrent)
            outputs.append(h if direction == "forward" else reversed_within(h, lengths))
        return outputs

    def _pooled(self, outputs: list[np.ndarray], mask: np.ndarray) -> np.ndarray:
        """Returns the outputs of the directions pooled over words; ``last`` of a direction is its last step."""
        count = np.maximum(mask.sum(axis=1), 1)
        if self.pooling == "last":
            places = (count - 1, np.zeros_like(count))
            return np.concatenate(
                [h[np.arange(len(h)), place] for h, place in zip(outputs, places, strict=False)], axis=1
            )
        h, words = np.concatenate(outputs, axis=-1), mask[..., None]
        mean = (h * words).sum(axis=1) / count[:, None].astype(np.float32)
        if self.pooling == "mean":
            return mean
        highest = np.where(words.any(axis=1), np.where(words, h, -np.inf).max(axis=1), np.float32(0))
        return highest if self.pooling == "max" else np.concatenate([mean, highest], axis=1)


def windows(x: np.ndarray, width: int) -> np.ndarray:
    """Returns each word vector (N, T, E) followed by those after it, (N, T, width · E); zeros follow the last one."""
    padded = np.pad(x, ((0, 0), (0, width - 1), (0, 0)))
    return np.concatenate([padded[:, n : n + x.shape[1]] for n in range(width)], axis=-1)


def bag_of_words(x: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Returns the sum (N, E) of word vectors (N, T, E) over the root of one more than their number."""
    bag: np.ndarray = (x * mask[..., None]).sum(axis=1) / np.sqrt(mask.sum(axis=1, keepdims=True) + np.float32(1))
    return bag.astype(np.float32)
