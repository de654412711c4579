"""The model that is trained: a decoder, and the encoder if it is trained too."""

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from capsmith.config import Config
from capsmith.core.errors import ConfigError
from capsmith.data.text.vocabulary import END, PAD, Vocabulary
from capsmith.models.decoders.config import DECODERS
from capsmith.models.decoders.protocol import require_protocol

if TYPE_CHECKING:
    from capsmith.vision.encoder import AnyEncoder


class CaptionModel(keras.Model):
    """Teacher forcing with a loss over real tokens.

    Args:
        decoder: Implements the protocol of ``decoders.base``.
        encoder: Maps pixels to features if it is trained; None if the batches hold features.
        label_smoothing: Probability mass that is spread evenly over the vocabulary, 0 to 1.
    """

    def __init__(
        self, decoder: keras.layers.Layer, encoder: keras.Model | None = None, label_smoothing: float = 0.0
    ) -> None:
        super().__init__(name="captioner")
        self.decoder = decoder
        self.encoder = encoder
        self.label_smoothing = label_smoothing
        self.mixing: keras.Variable | None = None

    def sample_inputs(self) -> None:
        """Turns on scheduled sampling: training replaces input words at the rate in ``mixing``, which starts at 0."""
        self.mixing = keras.Variable(0.0, trainable=False, name="mixing")
        self.chance = keras.random.SeedGenerator()

    def without_optimizer(self) -> "CaptionModel":
        """Returns the same layers without the optimizer, whose state would triple the size of a checkpoint."""
        other = CaptionModel(self.decoder, self.encoder, self.label_smoothing)
        other.built = True
        return other

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """Returns logits (B, T, V) for a batch of ``capsmith.data.batches.Batches``."""
        features = inputs["features"]
        if self.encoder is not None:
            features = self.encoder(features, training=training)
        features = ops.cast(features, self.compute_dtype)
        tokens, image = inputs["tokens"], inputs.get("image")
        if training and self.mixing is not None:
            tokens = self._mixed(features, tokens, image)
        return self.decoder(features, tokens, image, training=training, dropout_masks=inputs.get("dropout_masks"))

    def _mixed(self, features: Any, tokens: Any, image: Any) -> Any:
        """Replaces some input words by words sampled from the model.

        Scheduled sampling (Bengio et al. 2015) in two passes over the complete sentence, not word by word
        (Mihaylova and Martins 2019): samples are conditioned on the reference words before them.
        """
        logits = ops.stop_gradient(self.decoder(features, tokens, image, training=True))
        noise = -ops.log(-ops.log(keras.random.uniform(ops.shape(logits), 1e-7, 1.0, seed=self.chance)))
        sampled = ops.cast(ops.argmax(ops.cast(logits, "float32") + noise, axis=-1), tokens.dtype)
        sampled = ops.concatenate([tokens[:, :1], sampled[:, :-1]], axis=1)  # the output at t is the input at t + 1
        chosen = keras.random.uniform(ops.shape(tokens), seed=self.chance) < ops.cast(self.mixing, "float32")
        return ops.where(chosen & (tokens > END), sampled, tokens)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Returns the mean cross-entropy over all tokens except padding, in nats.

        If a batch has ``"weight"`` (B,), each caption is weighted by it, without label smoothing. With the advantage of
        a sampled caption as weight, this is the policy gradient (Williams 1992). If it has ``"teacher"``, captions in
        ``"old"`` are learned from its probabilities.
        """
        weight = x.get("weight")
        if x.get("teacher") is not None:
            return sum(self.losses, distilled_cross_entropy(y, y_pred, x["teacher"], x["old"]))
        loss = masked_cross_entropy(y, y_pred, self.label_smoothing if weight is None else 0.0, weight)
        for extra in self.losses:
            loss = loss + extra
        return loss


def build_model(
    config: Config,
    vocabulary: Vocabulary,
    feature_shape: tuple[int, ...],
    encoder: "AnyEncoder | None" = None,
    vectors: np.ndarray | None = None,
) -> CaptionModel:
    """Builds the network of a config.

    Args:
        config: Decoder and loss.
        vocabulary: The words and their frequencies.
        feature_shape: Shape of the features of one image, (D,) or (L, D).
        encoder: Becomes part of the network if the config trains it.
        vectors: Initial word vectors (V, E).
    """
    counts = np.array(vocabulary.counts, np.float64)
    start = np.log((counts + 1) / (counts + 1).sum()) if counts.any() else None
    decoder = DECODERS.build(config.decoder, len(vocabulary), vectors=vectors, log_frequencies=start)
    if getattr(decoder, "attends", False) and len(feature_shape) != 2:
        raise ConfigError(
            f"decoder.type {config.decoder.type} attends to regions, but the features of an image are one vector: "
            "set encoder.output to grid"
        )
    if DECODERS.settings.is_external(config.decoder.type):
        require_protocol(decoder, config.decoder.type, feature_shape, len(vocabulary))
    decoder(np.zeros((1, *feature_shape), "float32"), np.zeros((1, 2), "int32"))
    trained = encoder.parts[0].model if encoder is not None and config.trains_encoder else None
    model = CaptionModel(decoder, trained, config.training.label_smoothing)
    model.built = True
    return model


def masked_cross_entropy(targets: Any, logits: Any, smoothing: float = 0.0, weight: Any = None) -> Any:
    """Returns the mean cross-entropy over real tokens.

    Args:
        targets: Word ids (B, T); 0 is padding.
        logits: (B, T, V).
        smoothing: Label smoothing ``s``: the target is ``1 - s`` on the word plus ``s / V`` on every word (Szegedy et
            al. 2016, sec. 7).
        weight: Weight of each caption (B,), of either sign; 1 by default.

    Returns:
        A scalar, in nats.
    """
    mask = ops.cast(ops.not_equal(targets, PAD), "float32")
    loss = _smoothed(ops.cast(logits, "float32"), ops.cast(targets, "int32"), smoothing)  # bfloat16 is too coarse here
    if weight is not None:
        loss = loss * ops.cast(weight, loss.dtype)[:, None]
    return ops.sum(loss * mask) / ops.maximum(ops.sum(mask), 1.0)


def distilled_cross_entropy(targets: Any, logits: Any, teacher: Any, old: Any) -> Any:
    """Returns the mean cross-entropy over real tokens, with the probabilities of a teacher as targets of some captions.

    Where the model agrees with the teacher, the gradient is zero (knowledge distillation, Hinton et al. 2015; against
    forgetting, Li and Hoiem 2016).

    Args:
        targets: Word ids (B, T); 0 is padding.
        logits: (B, T, V).
        teacher: Probabilities (B, T, V).
        old: The captions that are learned from them, (B,) bool.

    Returns:
        A scalar, in nats.
    """
    mask = ops.cast(ops.not_equal(targets, PAD), "float32")
    logs = ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
    hard = -ops.take_along_axis(logs, ops.cast(targets, "int32")[..., None], axis=-1)[..., 0]
    soft = -ops.sum(ops.cast(teacher, "float32") * logs, axis=-1)
    loss = ops.where(ops.cast(old, "bool")[:, None], soft, hard)
    return ops.sum(loss * mask) / ops.maximum(ops.sum(mask), 1.0)


def _smoothed(logits_BTV: Any, targets_BT: Any, smoothing: float) -> Any:
    """Returns the cross-entropy of every token (B, T).

    Its explicit gradient makes as few passes over the B × T × V numbers as possible.
    """
    size = logits_BTV.shape[-1]

    @ops.custom_gradient
    def loss_of(logits: Any) -> Any:
        highest = ops.max(logits, axis=-1, keepdims=True)
        exponential = ops.exp(logits - highest)
        total = ops.sum(exponential, axis=-1, keepdims=True)
        chosen = ops.take_along_axis(logits, targets_BT[..., None], axis=-1)[..., 0]
        loss = (highest + ops.log(total))[..., 0] - (1.0 - smoothing) * chosen
        if smoothing:
            loss = loss - smoothing * ops.mean(logits, axis=-1)

        def gradient(*passed: Any, upstream: Any = None) -> Any:
            above = (passed[-1] if upstream is None else upstream)[..., None]
            share = exponential * (above / total)
            if smoothing:
                share = share - (smoothing / size) * above
            at_target = ops.take_along_axis(share, targets_BT[..., None], axis=-1) - (1.0 - smoothing) * above
            rows = ops.reshape(share, (-1, size))
            index = ops.stack([ops.arange(ops.shape(rows)[0], dtype="int32"), ops.reshape(targets_BT, (-1,))], axis=1)
            return ops.reshape(ops.scatter_update(rows, index, ops.reshape(at_target, (-1,))), ops.shape(share))

        return loss, gradient

    return loss_of(logits_BTV)
