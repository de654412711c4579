"""The two encoders of a CLIP preset, run by Keras in batches of a few fixed sizes.

N images or texts · T tokens · d dimensions of the joint space · v dimensions of the image encoder.
"""

import importlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from capsmith.core.compilation import compiled
from capsmith.core.errors import CheckpointError, ConfigError, FeatureError, one_line, out_of_memory
from capsmith.models.clip.preset import CLIP, MERGES, VOCABULARY, Preset
from capsmith.vision.hub.presets import ADVICE, import_keras_hub
from capsmith.vision.weights import count_numbers, load_weights_file

IMAGE_BATCHES = TEXT_BATCHES = (32, 8, 1)
"""Sizes of batches, largest first: each is traced once, and no batch is padded."""
LENGTHS = (16, 32)
"""Lengths to which shorter texts are padded. Attention looks back only, so padding behind a text changes nothing."""


class Towers:
    """A CLIP model with its tokenizer.

    Args:
        preset: What to load.

    Raises:
        CheckpointError: The files are damaged, or do not belong together.
        ConfigError: tensorflow-text is missing.
        MissingExtraError: keras-hub is not installed.
    """

    def __init__(self, preset: Preset) -> None:
        models = import_keras_hub(CLIP.prefix, CLIP.extra).models
        _require_text_library()
        _require_enough_numbers(preset)
        try:
            self.tokenizer = models.CLIPTokenizer(
                vocabulary=str(preset.folder / VOCABULARY), merges=str(preset.folder / MERGES)
            )
            self.backbone = _backbone(models, preset)
        except Exception as error:
            if out_of_memory(error):
                raise CheckpointError(f"{preset.folder}: the model is too large for this machine's memory") from error
            raise CheckpointError(f"{preset.folder} is damaged: {one_line(error)[:200]}; {ADVICE}") from error
        if self.tokenizer.vocabulary_size() > preset.text.vocabulary_size:
            raise CheckpointError(f"{preset.folder}: the vocabulary is larger than the model's; {ADVICE}")
        _load_weights(self.backbone, preset)
        self._longest = preset.text.max_sequence_length
        self._images = compiled(self._pooled, self.backbone)
        self._texts = compiled(self.backbone.get_text_embeddings, self.backbone)

    @property
    def projection(self) -> np.ndarray:
        """The matrix (v, d) from pooled outputs of the image encoder to the joint space."""
        return np.asarray(keras.ops.convert_to_numpy(self.backbone.vision_projection.kernel), np.float32)

    def pooled(self, images: np.ndarray) -> np.ndarray:
        """Returns the image encoder's pooled outputs (N, v) of scaled pixels (N, H, W, 3), before the projection."""
        outputs = [_numpy(self._images(images[part])) for part in batches(len(images), IMAGE_BATCHES)]
        return np.concatenate(outputs) if outputs else np.zeros((0, len(self.projection)), np.float32)

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        """Returns the projected outputs (N, d) of the text encoder."""
        tokens = self.token_ids(texts)
        order = np.argsort([len(row) for row in tokens], kind="stable")  # batches of texts of similar length
        result = np.zeros((len(tokens), self.backbone.projection_dim), np.float32)
        for part in batches(len(tokens), TEXT_BATCHES):
            rows = order[part]
            result[rows] = _numpy(self._texts(self._padded([tokens[row] for row in rows])))
        return result

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Returns start token, tokens and end token of each text. Tokens that do not fit are dropped before the end."""
        start, end = self.tokenizer.start_token_id, self.tokenizer.end_token_id
        return [[start, *row[: self._longest - 2], end] for row in self.pieces(texts)]

    def pieces(self, texts: Sequence[str]) -> list[list[int]]:
        """Returns the tokens of each text, in lower case as CLIP was trained."""
        if not texts:
            return []
        rows = self.tokenizer([text.lower() for text in texts])
        return [list(map(int, row)) for row in (rows.to_list() if hasattr(rows, "to_list") else rows)]

    def _padded(self, tokens: list[list[int]]) -> np.ndarray:
        longest = max(map(len, tokens))
        length = min(next((n for n in LENGTHS if n >= longest), self._longest), self._longest)
        padded = np.full((len(tokens), length), self.tokenizer.pad_token_id, np.int32)
        for row, ids in zip(padded, tokens, strict=True):
            row[: len(ids)] = ids
        return padded

    def _pooled(self, images: Any) -> Any:
        return self.backbone.vision_pooler(self.backbone.vision_encoder({"images": images}))


def _require_text_library() -> None:
    """Raises ConfigError if keras-hub's tokenizer would not work; it needs TensorFlow on every backend of Keras."""
    try:
        importlib.import_module("tensorflow_text")
    except Exception as error:  # a version for another TensorFlow raises errors of TensorFlow
        raise ConfigError(
            "--engine clip: needs tensorflow-text, whichever backend Keras uses: pip install 'capsmith[clip]' installs "
            "it, except on Windows"
        ) from error


def batches(n: int, sizes: Sequence[int]) -> Iterator[slice]:
    """Divides n rows into slices of the given sizes, the largest that fits first. The last size is 1."""
    start = 0
    while start < n:
        size = next(size for size in sizes if size <= n - start)
        yield slice(start, start + size)
        start += size


def _backbone(models: Any, preset: Preset) -> Any:
    """Returns the untrained network in float32, whatever the precision that the preset or Keras is set to."""
    vision, text = preset.vision, preset.text
    return models.CLIPBackbone(
        vision_encoder=models.CLIPVisionEncoder(**vision.model_dump(), data_format="channels_last", dtype="float32"),
        text_encoder=models.CLIPTextEncoder(**text.model_dump(), dtype="float32"),
        projection_dim=preset.size,
        dtype="float32",
    )


def _load_weights(backbone: Any, preset: Preset) -> None:
    try:
        if preset.weights.suffix == ".h5":
            load_weights_file(backbone, preset.weights)
        else:
            backbone.load_weights(str(preset.weights))
    except FeatureError as error:
        raise CheckpointError(f"{str(error).removeprefix('encoder weights ')}; {ADVICE}") from error
    except Exception as error:  # a shard is missing or damaged
        raise CheckpointError(f"{preset.weights}: {one_line(error)[:200]}; {ADVICE}") from error


def _require_enough_numbers(preset: Preset) -> None:
    """Raises CheckpointError if config.json describes a far larger network than the weights file holds."""
    if preset.weights.suffix != ".h5":
        return
    try:
        found = count_numbers(preset.weights)
    except FeatureError as error:
        raise CheckpointError(f"{str(error).removeprefix('encoder weights ')}; {ADVICE}") from error
    needed = preset.vision.least + preset.text.least
    if needed > found:
        raise CheckpointError(
            f"{preset.weights} holds {found:,} numbers, but config.json describes a model of more than {needed:,}; "
            f"{ADVICE}"
        )


def _numpy(tensor: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor), np.float32)
