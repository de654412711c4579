"""The joint embedding as a Keras network. ``retrieval.heads`` computes the same functions in NumPy.

P images · B captions · L regions · W inputs of the image head · T words · E channels of a word · U recurrent units ·
d dimensions of the joint space.
"""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from capsmith.data.text.vocabulary import PAD, UNK
from capsmith.models.decoders.dense import product
from capsmith.models.decoders.feature_scaling import FeatureScaling
from capsmith.models.decoders.recurrence import Recurrence, build_recurrence
from capsmith.models.embedding.config import (
    AnyTextHead,
    BagOfWordsConfig,
    ConvolutionalConfig,
    ImageHeadConfig,
    JointEmbeddingConfig,
    RecurrentConfig,
)
from capsmith.models.embedding.losses import hinge, infonce, negatives
from capsmith.retrieval.heads import ImageHead, TextHead
from capsmith.training.embedding.config import EmbeddingTrainingConfig

_LARGEST_SCALE = 100.0  # the lowest temperature that is learned, as in CLIP (Radford et al. 2021)


class ImageNetwork(keras.layers.Layer):
    """Maps standardised features (P, W), or with attention regions (P, L, W), to unit vectors (P, d) in float32.

    Args:
        config: Its settings.
        inputs: W.
        size: d.
    """

    def __init__(self, config: ImageHeadConfig, inputs: int, size: int) -> None:
        super().__init__(name="image")
        self.config = config
        self.dropout = keras.layers.Dropout(config.dropout)
        self.hidden_dropout = keras.layers.Dropout(config.hidden_dropout)
        self.kernel = self.add_weight(shape=(inputs, size), initializer="glorot_normal", name="kernel")
        self.bias = self.add_weight(shape=(size,), initializer="zeros", name="bias")
        if config.pooling == "attention":
            units = config.attention_units
            self.attention_kernel = self.add_weight(shape=(inputs, units), name="attention_kernel")
            self.attention_bias = self.add_weight(shape=(units,), initializer="zeros", name="attention_bias")
            self.attention_query = self.add_weight(shape=(units,), initializer="zeros", name="attention_query")
        if config.hidden:
            self.hidden_kernel = self.add_weight(shape=(inputs, config.hidden), name="hidden_kernel")
            self.hidden_bias = self.add_weight(shape=(config.hidden,), initializer="zeros", name="hidden_bias")
            self.output_kernel = self.add_weight(shape=(config.hidden, size), name="output_kernel")
        self.built = True

    def call(self, features: Any, training: bool = False) -> Any:
        """Returns unit vectors (P, d), float32."""
        x = self.dropout(features, training=training)
        if self.config.pooling == "attention" and len(x.shape) == 3:
            scores = ops.tanh(product(x, self.attention_kernel, self.attention_bias))
            weights = ops.softmax(ops.sum(scores * self.attention_query, axis=-1, keepdims=True), axis=1)
            x = ops.sum(weights * x, axis=1)
        y = product(x, self.kernel, self.bias)
        if self.config.hidden:
            h = ops.relu(product(x, self.hidden_kernel, self.hidden_bias))
            y = y + product(self.hidden_dropout(h, training=training), self.output_kernel)
        return unit(y)

    def head(self, scaling: FeatureScaling) -> ImageHead:
        """Returns the scaling of features followed by this network, in NumPy."""
        names = ["kernel", "bias"]
        names += ["attention_kernel", "attention_bias", "attention_query"] * (self.config.pooling == "attention")
        names += ["hidden_kernel", "hidden_bias", "output_kernel"] * bool(self.config.hidden)
        arrays = {name: _numbers(getattr(self, name)) for name in names}
        scale = {"mean": _numbers(scaling.mean), "scale": _numbers(scaling.scale)}
        return ImageHead(self.config.pooling, {**scale, **arrays})


class TextNetwork(keras.layers.Layer):
    """Maps token ids (B, T), padded with 0 at the end, to unit vectors (B, d) in float32.

    Args:
        config: Its settings.
        words: Size of the vocabulary.
        size: d.
        vectors: Initial word vectors (V, E), or None.
    """

    def __init__(self, config: AnyTextHead, words: int, size: int, vectors: np.ndarray | None = None) -> None:
        super().__init__(name="text")
        self.config = config
        width = config.words.size
        start = keras.initializers.RandomNormal(stddev=0.1) if vectors is None else _constant(vectors)
        self.words = self.add_weight(
            shape=(words, width), initializer=start, trainable=config.words.trainable, name="words"
        )
        self.bias = self.add_weight(shape=(size,), initializer="zeros", name="bias")
        self.dropout = keras.layers.Dropout(config.dropout)
        self.bag_dropout = keras.layers.Dropout(config.dropout)
        self.chance = keras.random.SeedGenerator()
        self.directions: dict[str, Recurrence] = {}
        self.pooling = config.pooling if isinstance(config, RecurrentConfig) else "mean"
        if isinstance(config, RecurrentConfig):
            names = ("forward", "backward") if config.bidirectional else ("forward",)
            self.directions = {name: build_recurrence(config.cell, config.units, width, name=name) for name in names}
            parts = len(names) * (2 if config.pooling == "mean_max" else 1)
            self.kernel = self.add_weight(shape=(config.units * parts, size), name="kernel")
        self.widths: dict[int, tuple[Any, Any]] = {}
        if isinstance(config, ConvolutionalConfig):
            for n in config.widths:
                kernel = self.add_weight(shape=(n * width, config.filters), name=f"convolution_{n}_kernel")
                bias = self.add_weight(shape=(config.filters,), initializer="zeros", name=f"convolution_{n}_bias")
                self.widths[n] = kernel, bias
            self.kernel = self.add_weight(shape=(config.filters * len(config.widths), size), name="kernel")
        self.has_bag = not isinstance(config, RecurrentConfig) or config.bag_of_words
        if self.has_bag:
            self.bag_kernel = self.add_weight(shape=(width, size), initializer="glorot_normal", name="bag_kernel")
        self.hidden = 0
        if isinstance(config, BagOfWordsConfig) and config.hidden:
            self.hidden = config.hidden
            self.hidden_dropout = keras.layers.Dropout(config.hidden_dropout)
            self.hidden_kernel = self.add_weight(shape=(width, self.hidden), name="hidden_kernel")
            self.hidden_bias = self.add_weight(shape=(self.hidden,), initializer="zeros", name="hidden_bias")
            self.output_kernel = self.add_weight(shape=(self.hidden, size), name="output_kernel")
        self.built = True

    def call(self, tokens: Any, training: bool = False) -> Any:
        """Returns unit vectors (B, d), float32."""
        present = ops.not_equal(tokens, PAD)
        if training and self.config.word_dropout:
            dropped = keras.random.uniform(ops.shape(tokens), seed=self.chance) < self.config.word_dropout
            if not isinstance(self.config, BagOfWordsConfig):
                tokens = ops.where(dropped & present, UNK, tokens)
            else:
                present = present & ~dropped
        x = ops.cast(ops.take(self.words, tokens, axis=0), self.compute_dtype)
        mask = ops.cast(present, self.compute_dtype)[..., None]
        y = ops.cast(self.bias, self.compute_dtype)
        if self.directions or self.widths:
            h = self._recurrent(x, mask) if self.directions else self._convolved(x * mask, mask)
            h = self.dropout(h, training=training)
            y = y + product(h, self.kernel)
        if self.has_bag:
            count = ops.sum(ops.cast(present, "float32"), axis=1, keepdims=True)
            bag = ops.sum(x * mask, axis=1) / ops.cast(ops.sqrt(count + 1.0), self.compute_dtype)
            bag = self.bag_dropout(bag, training=training)
            y = y + product(bag, self.bag_kernel)
            if self.hidden:
                h = ops.relu(product(bag, self.hidden_kernel, self.hidden_bias))
                y = y + product(self.hidden_dropout(h, training=training), self.output_kernel)
        return unit(y)

    def _convolved(self, x: Any, mask: Any) -> Any:
        """Returns the highest output of each filter over the windows that begin with a word, (B, widths · F)."""
        length, found = x.shape[1], []
        for width, (kernel, bias) in self.widths.items():
            padded = ops.pad(x, ((0, 0), (0, width - 1), (0, 0)))
            windows = ops.concatenate([padded[:, n : n + length] for n in range(width)], axis=-1)
            found.append(ops.max(ops.relu(product(windows, kernel, bias)) * mask, axis=1))
        return ops.concatenate(found, axis=-1)

    def _recurrent(self, x: Any, mask: Any) -> Any:
        """Returns the outputs of both directions, pooled over words."""
        length = ops.cast(ops.sum(ops.cast(mask[..., 0], "float32"), axis=1), "int32")[:, None]
        places = ops.arange(x.shape[1], dtype="int32")[None]
        back = ops.where(places < length, length - 1 - places, places)
        pooled, highest = [], []
        for name, layer in self.directions.items():
            own = x if name == "forward" else ops.take_along_axis(x, back[..., None], axis=1)
            z = layer.inputs(own)
            h = layer.sentence(z, layer.zero(z[:, 0]))  # pooling does not ask for the order of words
            if self.pooling == "last":
                last = ops.maximum(length - 1, 0)
                pooled.append(ops.take_along_axis(h, last[..., None], axis=1)[:, 0])
            if self.pooling in ("mean", "mean_max"):
                count = ops.cast(ops.maximum(length, 1), h.dtype)
                pooled.append(ops.sum(h * mask, axis=1) / count)
            if self.pooling in ("max", "mean_max"):
                found = ops.max(ops.where(mask > 0, h, -2.0), axis=1)  # an output is never below -1
                highest.append(ops.where(length > 0, found, ops.zeros_like(found)))
        return ops.concatenate([*pooled, *highest], axis=-1)

    def head(self) -> TextHead:
        """Returns the same function in NumPy."""
        names = ["words", "bias"] + ["kernel"] * bool(self.directions or self.widths) + ["bag_kernel"] * self.has_bag
        names += ["hidden_kernel", "hidden_bias", "output_kernel"] * bool(self.hidden)
        arrays = {name: _numbers(getattr(self, name)) for name in names}
        for name, layer in self.directions.items():
            arrays[f"{name}_kernel"] = _numbers(layer.kernel)
            arrays[f"{name}_recurrent"] = _numbers(layer.recurrent_kernel)
            arrays[f"{name}_bias"] = _numbers(layer.bias)
        for n, (kernel, bias) in self.widths.items():
            arrays[f"convolution_{n}_kernel"], arrays[f"convolution_{n}_bias"] = _numbers(kernel), _numbers(bias)
        if isinstance(self.config, RecurrentConfig):
            return TextHead(self.config.cell, self.config.pooling, arrays)
        return TextHead("", "mean", arrays)


class EmbeddingModel(keras.Model):
    """Both networks and the loss over the pairs of a batch.

    Args:
        config: The settings of the networks.
        training: The settings of the loss.
        inputs: W.
        words: Size of the vocabulary.
        vectors: Initial word vectors (V, E), or None.
    """

    def __init__(
        self,
        config: JointEmbeddingConfig,
        training: EmbeddingTrainingConfig,
        inputs: int,
        words: int,
        vectors: np.ndarray | None = None,
    ) -> None:
        super().__init__(name="embedding", autocast=False)  # bfloat16 is too coarse before features are standardised
        self.scaling = FeatureScaling(dtype="float32", name="scaling")
        self.scaling.build((None, inputs))
        self.image = ImageNetwork(config.image, inputs, config.size)
        self.text = TextNetwork(config.text, words, config.size, vectors)
        self.settings = training
        self.log_scale = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(-math.log(training.temperature)),
            trainable=training.learn_temperature,
            dtype="float32",
            name="log_scale",
        )
        self.built = True

    def call(self, inputs: dict[str, Any], training: bool = False) -> tuple[Any, Any]:
        """Returns the unit vectors of images (P, d) and captions (B, d)."""
        features = self.scaling(ops.cast(inputs["features"], "float32"))
        return self.image(features, training=training), self.text(inputs["tokens"], training=training)

    def heads(self) -> tuple[ImageHead, TextHead]:
        """Returns both networks in NumPy."""
        return self.image.head(self.scaling), self.text.head()

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Returns the loss of a batch of ``training.embedding.batches``, whose targets are the captions' groups."""
        images, texts = y_pred
        similarity = ops.matmul(images, ops.transpose(texts))
        negative, settings = negatives(x["groups"], y), self.settings
        if settings.loss == "infonce":
            scale = ops.minimum(ops.exp(ops.convert_to_tensor(self.log_scale)), _LARGEST_SCALE)
            return infonce(similarity, x["image"], negative, scale, settings.text_to_image)
        hardest = settings.negatives == "hardest"
        return hinge(similarity, x["image"], negative, settings.margin, hardest, settings.text_to_image)


def unit(vectors: Any) -> Any:
    """Returns vectors (N, d) with length 1, float32."""
    vectors = ops.cast(vectors, "float32")
    return vectors * ops.rsqrt(ops.maximum(ops.sum(vectors * vectors, axis=-1, keepdims=True), 1e-24))


def _constant(values: np.ndarray) -> Any:
    return lambda shape, dtype=None: ops.convert_to_tensor(values, dtype)


def _numbers(weight: Any) -> np.ndarray:
    return np.array(ops.convert_to_numpy(weight), np.float32)
