"""Attention over the regions of an image.

P images · N rows, adjacent for one image, N a multiple of P · L regions · U channels of a region · A width of
the attention · Q channels of a query · H heads.

Regions are stored once for each image, however many rows attend to them: five captions in training, K beams in search.
"""

from abc import ABC, abstractmethod
from typing import Any

import keras
from keras import ops

from capsmith.models.decoders.config import AttendConfig
from capsmith.models.decoders.dense import Dense

EncodedRegions = tuple[Any, Any]


def build_attention(config: AttendConfig, name: str = "attend") -> "AttentionLayer":
    """Returns the attention layer of a config."""
    return {"additive": Additive, "multihead": MultiHead}[config.attention](config, name=name)


class AttentionLayer(keras.layers.Layer, ABC):
    """Base of both kinds: a context, optionally refined by the query.

    The refinement is attention on attention (Huang et al. 2019, eq. 4–6): an information vector and a gate, both from
    query and context. The gate can suppress an irrelevant context.
    """

    def __init__(self, config: AttendConfig, name: str) -> None:
        super().__init__(name=name)
        self.width = config.attention_units
        self.question = Dense(self.width, name="question")
        self.refine = Dense(2 * config.units, name="refine") if config.refine else None

    @abstractmethod
    def encode_regions(self, regions_PLU: Any) -> EncodedRegions:
        """Encodes the regions of each image once: two tensors with leading axis P."""

    @abstractmethod
    def weigh(self, query_NQ: Any, encoded: EncodedRegions) -> tuple[Any, Any]:
        """Returns the context (N, …) and the weights of the regions (N, L), which sum to 1 in each row."""

    def call(self, query_NQ: Any, first: Any, second: Any) -> tuple[Any, Any]:
        """Returns the (refined) context (N, U) and the weights of the regions (N, L)."""
        context, weights = self.weigh(query_NQ, (first, second))
        if self.refine is not None:
            both = self.refine(ops.concatenate([query_NQ, context], axis=-1))
            information, gate = ops.split(both, 2, axis=-1)
            context = information * ops.sigmoid(gate)
        return context, weights


class Additive(AttentionLayer):
    """Additive attention (Bahdanau et al. 2015; Xu et al. 2015, eq. 4–6)."""

    def __init__(self, config: AttendConfig, name: str) -> None:
        super().__init__(config, name)
        self.key = Dense(self.width, use_bias=False, name="key")
        self.score = Dense(1, use_bias=False, name="score")

    def encode_regions(self, regions_PLU: Any) -> EncodedRegions:
        """Returns the regions (P, L, U) and their keys (P, L, A)."""
        return regions_PLU, self.key(regions_PLU)

    def weigh(self, query_NQ: Any, encoded: EncodedRegions) -> tuple[Any, Any]:
        """Returns the weighted mean of the regions, and the weights."""
        regions, keys = encoded
        query = _by_image(self.question(query_NQ), regions)  # (P, N/P, A)
        scores = self.score(ops.tanh(keys[:, None] + query[:, :, None]))[..., 0]
        weights = ops.softmax(scores, axis=-1)
        return _by_row(ops.matmul(weights, regions)), _by_row(weights)


class MultiHead(AttentionLayer):
    """Scaled dot-product attention with several heads (Vaswani et al. 2017); the weights are the mean of the heads."""

    def __init__(self, config: AttendConfig, name: str) -> None:
        super().__init__(config, name)
        self.heads = config.heads
        self.key = Dense(self.width, name="key")
        self.value = Dense(self.width, name="value")

    def encode_regions(self, regions_PLU: Any) -> EncodedRegions:
        """Returns keys (P, H, A/H, L) and values (P, H, L, A/H)."""
        keys = ops.transpose(self._heads(self.key(regions_PLU)), (0, 2, 3, 1))
        return keys, ops.transpose(self._heads(self.value(regions_PLU)), (0, 2, 1, 3))

    def weigh(self, query_NQ: Any, encoded: EncodedRegions) -> tuple[Any, Any]:
        """Returns the concatenated contexts of the heads (N, A), and the weights."""
        keys, values = encoded
        query = ops.transpose(self._heads(_by_image(self.question(query_NQ), keys)), (0, 2, 1, 3))
        scores = ops.matmul(query, keys) * (self.width / self.heads) ** -0.5  # (P, H, N/P, L)
        weights = ops.softmax(scores, axis=-1)
        context = ops.transpose(ops.matmul(weights, values), (0, 2, 1, 3))
        return ops.reshape(context, (-1, self.width)), _by_row(ops.mean(weights, axis=1))

    def _heads(self, x: Any) -> Any:
        rows, others = ops.shape(x)[0], ops.shape(x)[1]
        return ops.reshape(x, (rows, others, self.heads, self.width // self.heads))


def _by_image(x_NC: Any, like_P: Any) -> Any:
    return ops.reshape(x_NC, (ops.shape(like_P)[0], -1, x_NC.shape[-1]))


def _by_row(x_PNC: Any) -> Any:
    return ops.reshape(x_PNC, (-1, x_PNC.shape[-1]))
