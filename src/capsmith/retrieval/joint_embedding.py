"""A trained joint embedding as one file, ``embedding.npz``: the networks of images and texts, and what search needs.

N images or texts · L regions · D feature channels · d dimensions of the joint space · v dimensions of visual vectors ·
P training images.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from capsmith.core.errors import CheckpointError, one_line
from capsmith.core.files import atomic
from capsmith.core.readers.arrays import FLOATS, INTEGERS, ArrayHeader, ArraySpec, read_array, read_arrays, read_headers
from capsmith.core.readers.json_files import parse_json
from capsmith.retrieval.heads import ImageHead, ImagePooling, TextHead, TextPooling
from capsmith.retrieval.pooled import pool
from capsmith.retrieval.principal_components import unit
from capsmith.retrieval.recurrence import GATES

_ADVICE = "copy or train the run again"
_LARGEST = 1e6  # trained numbers are far smaller, and products of larger ones could overflow
_SETTINGS = "settings"
_FORMAT = 1
_CONVOLUTION = re.compile("text_convolution_([1-9])_kernel")
_BYTES = ArraySpec(INTEGERS, ("length",), minimum=0, maximum=255)


class _Settings(NamedTuple):  # not a FileSchema: exports with a caption judge are used without pydantic
    image_pooling: ImagePooling
    cell: Literal["gru", "lstm", ""]
    text_pooling: TextPooling

    @classmethod
    def check(cls, content: Any, path: Path) -> "_Settings":
        """Returns the settings in a file; raises CheckpointError if they are damaged."""
        allowed = {
            "image_pooling": get_args(ImagePooling),
            "cell": ("gru", "lstm", ""),
            "text_pooling": get_args(TextPooling),
        }
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise CheckpointError(f"{path} is damaged: its settings are not of format {_FORMAT}; {_ADVICE}")
        for name, values in allowed.items():
            if content.get(name) not in values:
                raise CheckpointError(f"{path} is damaged: {name} is {content.get(name)!r:.40}; {_ADVICE}")
        return cls(**{name: content[name] for name in allowed})


@dataclass(frozen=True)
class JointEmbedding:
    """Maps features and token ids to unit vectors of one space.

    Attributes:
        image: The network of images.
        text: The network of texts.
        visual_mean: Mean of the pooled features of the training images (D,).
        visual_projection: Maps centred pooled features to visual vectors (D, v).
        bank: Vectors of the training images (P, d), float16.
    """

    image: ImageHead
    text: TextHead
    visual_mean: np.ndarray
    visual_projection: np.ndarray
    bank: np.ndarray

    @property
    def size(self) -> int:
        """Dimensions of the joint space (d)."""
        return len(self.image.arrays["bias"])

    @property
    def visual_size(self) -> int:
        """Dimensions of visual vectors (v)."""
        return int(self.visual_projection.shape[1])

    @property
    def channels(self) -> int:
        """Channels of the features (D)."""
        return len(self.visual_mean)

    @property
    def words(self) -> int:
        """Size of the vocabulary (V)."""
        return len(self.text.arrays["words"])

    def embed_features(self, features: np.ndarray) -> np.ndarray:
        """Returns the unit vectors (N, d), float32, of features (N, D) or (N, L, D)."""
        return self.image(features)

    def embed_tokens(self, tokens: np.ndarray) -> np.ndarray:
        """Returns the unit vectors (N, d), float32, of token ids (N, T), padded with 0 at the end."""
        return self.text(tokens)

    def visual_vectors(self, features: np.ndarray) -> np.ndarray:
        """Returns unit vectors (N, v), float32, whose cosine says how alike images look."""
        return visual_vectors(features, self.visual_mean, self.visual_projection)

    def save(self, path: Path) -> None:
        """Writes the file, atomically."""
        chosen = _Settings(self.image.pooling, self.text.cell, self.text.pooling)
        settings = json.dumps({"format": _FORMAT, **chosen._asdict()})
        arrays = {
            _SETTINGS: np.frombuffer(settings.encode(), np.uint8),
            **{f"image_{name}": array for name, array in self.image.arrays.items()},
            **{f"text_{name}": array for name, array in self.text.arrays.items()},
            "visual_mean": self.visual_mean,
            "visual_projection": self.visual_projection,
            "bank": self.bank,
        }
        with atomic(path, "wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> "JointEmbedding":
        """Reads a file that ``save`` wrote. Nothing in it is executed.

        Raises:
            CheckpointError: The file is missing or damaged.
        """
        if not path.is_file():
            raise CheckpointError(f"{path} is missing: the training has no checkpoint yet, or the file was removed")
        headers = read_headers(path, CheckpointError, _ADVICE)
        raw = read_array(path, _SETTINGS, _BYTES, CheckpointError, _ADVICE)
        try:
            content = parse_json(raw.astype(np.uint8).tobytes())
        except ValueError as error:
            raise CheckpointError(f"{path} is damaged: {one_line(error)}; {_ADVICE}") from error
        settings = _Settings.check(content, path)
        arrays = read_arrays(path, _schema(settings, headers), CheckpointError, _ADVICE)
        inputs = len(arrays["visual_mean"]) * (2 if settings.image_pooling == "mean_max" else 1)
        if len(arrays["image_mean"]) not in (inputs, len(arrays["visual_mean"])):
            raise CheckpointError(f"{path} is damaged: the image head does not read the features; {_ADVICE}")
        image, text = (_part(arrays, name) for name in ("image_", "text_"))
        return cls(
            ImageHead(settings.image_pooling, image),
            TextHead(settings.cell, settings.text_pooling, text),
            arrays["visual_mean"],
            arrays["visual_projection"],
            arrays["bank"],
        )


def visual_vectors(features: np.ndarray, mean: np.ndarray, projection: np.ndarray) -> np.ndarray:
    """Returns unit vectors (N, v), float32, of features (N, D) or (N, L, D); arguments as in ``JointEmbedding``."""
    return unit((pool(features) - mean) @ projection).astype(np.float32)


def _part(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """Returns the arrays of one network, in float32."""
    return {
        name.removeprefix(prefix): np.asarray(array, np.float32)
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def _schema(settings: _Settings, headers: Mapping[str, ArrayHeader]) -> dict[str, ArraySpec]:
    """Returns the schema of a file: optional parts are required completely as soon as one of their arrays is there."""
    shapes: dict[str, tuple[int | str, ...]] = {
        "image_mean": ("W",),
        "image_scale": ("W",),
        "image_kernel": ("W", "d"),
        "image_bias": ("d",),
        "text_words": ("V", "E"),
        "text_bias": ("d",),
        "visual_mean": ("D",),
        "visual_projection": ("D", "v"),
        "bank": ("P", "d"),
    }
    if "image_hidden_kernel" in headers:
        shapes |= {
            "image_hidden_kernel": ("W", "H"),
            "image_hidden_bias": ("H",),
            "image_output_kernel": ("H", "d"),
        }
    if settings.image_pooling == "attention":
        shapes |= {
            "image_attention_kernel": ("W", "A"),
            "image_attention_bias": ("A",),
            "image_attention_query": ("A",),
        }
    if settings.cell:
        shapes |= _recurrent_shapes(settings, headers)
    else:
        shapes |= _convolution_shapes(headers)
    if "text_bag_kernel" in headers or not settings.cell:
        shapes["text_bag_kernel"] = ("E", "d")
    if "text_hidden_kernel" in headers and "text_bag_kernel" in shapes:
        shapes |= {
            "text_hidden_kernel": ("E", "h"),
            "text_hidden_bias": ("h",),
            "text_output_kernel": ("h", "d"),
        }
    schema = {name: ArraySpec(FLOATS, shape, -_LARGEST, _LARGEST) for name, shape in shapes.items()}
    return {_SETTINGS: _BYTES, **schema, "bank": ArraySpec(FLOATS, ("P", "d"), -2, 2)}


def _convolution_shapes(headers: Mapping[str, ArrayHeader]) -> dict[str, tuple[int | str, ...]]:
    widths = [int(match[1]) for name in headers if (match := _CONVOLUTION.fullmatch(name))]
    if not widths:
        return {}
    words, bias = headers.get("text_words"), headers.get(f"text_convolution_{widths[0]}_bias")
    channels = words.shape[-1] if words is not None and words.shape else 1
    filters = bias.shape[0] if bias is not None and bias.shape else 1
    shapes: dict[str, tuple[int | str, ...]] = {"text_kernel": (len(widths) * filters, "d")}
    for width in widths:
        shapes[f"text_convolution_{width}_kernel"] = (width * channels, filters)
        shapes[f"text_convolution_{width}_bias"] = (filters,)
    return shapes


def _recurrent_shapes(settings: _Settings, headers: Mapping[str, ArrayHeader]) -> dict[str, tuple[int | str, ...]]:
    recurrent = headers.get("text_forward_recurrent")
    units = recurrent.shape[0] if recurrent is not None and recurrent.shape else 1
    gates = units * GATES[settings.cell]
    directions = ["forward"] + (["backward"] if "text_backward_kernel" in headers else [])
    shapes: dict[str, tuple[int | str, ...]] = {
        "text_kernel": (units * len(directions) * (2 if settings.text_pooling == "mean_max" else 1), "d")
    }
    for name in directions:
        shapes |= {
            f"text_{name}_kernel": ("E", gates),
            f"text_{name}_recurrent": (units, gates),
            f"text_{name}_bias": (gates,),
        }
    return shapes
