"""Trains the last block of an encoder to predict the words of captions.

P images · W words · the grid before the block has rows, columns and channels.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from capsmith.core.errors import CheckpointError, FeatureError
from capsmith.core.log import get_logger
from capsmith.core.progress import progress_bar
from capsmith.core.readers.file_schema import FileSchema
from capsmith.data.records import Record
from capsmith.models.checkpoints import load_state, read_progress, save_state
from capsmith.training.config import TrainingConfig
from capsmith.training.word_labels import WordLabels, mean_average_precision
from capsmith.vision.config import PretrainOnWordsConfig
from capsmith.vision.encoder import Encoder
from capsmith.vision.encoder_folder import EncoderFolder
from capsmith.vision.fingerprint import describe_differences
from capsmith.vision.networks import layers_after
from capsmith.vision.store import FeatureStore
from capsmith.vision.weights import replacing

logger = get_logger(__name__)

_LINEAR_RATE = 10.0  # learning rate of the linear layer relative to the block's
_DROPOUT = 0.5


class SavedPretraining(FileSchema):
    """``adapted.json``, and the progress in ``adapting.npz``."""

    made_from: dict[str, Any]
    scores: list[float]

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that determined the weights, with keys from earlier versions renamed."""
        renamed = {**PretrainOnWordsConfig.renamed, **TrainingConfig.renamed}
        return {renamed.get(key, key): value for key, value in self.made_from.items()}


def require_same_settings(saved: SavedPretraining, made_from: dict[str, Any], folder: EncoderFolder) -> None:
    """Checks that saved weights result from the current settings and captions.

    Raises:
        CheckpointError: They do not. The message names the first differences.
    """
    if differs := describe_differences(saved.settings, made_from):
        hint = " (other data, data.limit or text settings)" if "captions:" in differs else ""
        raise CheckpointError(
            f"{folder.path} holds an encoder adapted with other settings ({differs}{hint}): "
            "name another encoder.pretrain_on_words.output"
        )


class WordLabelTrainer:
    """An encoder's last block with a linear layer on top, and its training.

    Args:
        encoder: The encoder; its last block is trained in place.
        after: Name of the last frozen layer.
        labels: The words to predict.
        settings: The settings of the pretraining.
        made_from: Everything that determines the weights; kept in the state.

    Raises:
        FeatureError: There is no such layer, or no layer after it can be trained.
    """

    def __init__(
        self,
        encoder: Encoder,
        after: str,
        labels: WordLabels,
        settings: PretrainOnWordsConfig,
        made_from: dict[str, Any],
    ) -> None:
        self.encoder, self.labels, self.settings, self.made_from = encoder, labels, settings, made_from
        self.folder = EncoderFolder(settings.output)
        block = layers_after(encoder.core, after)
        self.grid = tuple(int(n) for n in block.inputs[0].shape[1:])
        for layer in block.layers:  # batch statistics of a few images are worse than those of ImageNet
            _set_trainable(layer, not isinstance(layer, keras.layers.BatchNormalization))
        if len(self.grid) != 3 or not any(layer.trainable_variables for layer in block.layers):
            raise FeatureError(
                f"encoder.pretrain_on_words.after: no layer after '{after}' can be trained on a grid: "
                "name an earlier one"
            )
        self.linear = keras.layers.Dense(len(labels.column), kernel_initializer="zeros")
        self.model = self._with_linear_layer(block)
        jit = keras.backend.backend() == "jax"
        self.model.compile(
            keras.optimizers.Adam(settings.learning_rate), loss=multilabel_cross_entropy, jit_compile=jit
        )
        self.model.optimizer.build(self.model.trainable_variables)

    def _with_linear_layer(self, block: keras.Model) -> keras.Model:
        """Returns a model from the grid (P, rows, columns, channels) to a logit for each word, (P, W)."""
        grid = keras.Input(self.grid)
        output = block(grid)
        output = keras.layers.GlobalAveragePooling2D()(output) if len(output.shape) == 4 else output
        output = keras.layers.BatchNormalization()(output)
        output = keras.layers.Dropout(_DROPOUT, seed=self.settings.seed)(output)
        return keras.Model(grid, keras.layers.Rescaling(_LINEAR_RATE)(self.linear(output)))

    def run(self, records: Sequence[Record], store: FeatureStore) -> list[float]:
        """Trains all remaining passes, and saves the weights of the best one.

        Args:
            records: Images of train and dev.
            store: Their grids before the block.

        Returns:
            The score of each pass: mean average precision on dev, or minus the loss without dev images.

        Raises:
            CheckpointError: The state was saved with other settings, or cannot be written.
            FeatureError: The loss is NaN or infinite.
        """
        train, dev = ([record for record in records if record.split == split] for split in ("train", "dev"))
        targets, dev_labels = self.labels.of_images(train), self.labels.of_images(dev) > 0
        rows, dev_rows = (store.rows([record.image_id for record in split]) for split in (train, dev))
        frequency = targets.mean(axis=0).clip(1e-4, 1 - 1e-4)
        self.linear.bias.assign(np.log(frequency / (1 - frequency)) / _LINEAR_RATE)
        scores = self._resume()
        for number in range(len(scores), self.settings.epochs):
            loss = self._pass(number, rows, targets, store)
            precision = mean_average_precision(self._predict(dev_rows, store), dev_labels) if dev else None
            scores.append(-loss if precision is None else precision)
            dev_result = "" if precision is None else f"  dev: words found with average precision {precision:.4f}"
            logger.info(f"pass {number + 1}/{self.settings.epochs}  loss {loss:.2f}{dev_result}")
            if scores[-1] == max(scores):
                with replacing(self.folder.weights, self.encoder.core) as temporary:
                    self.encoder.core.save_weights(temporary)
            save_state(self.folder.pretraining_state, self.model, {"made_from": self.made_from, "scores": scores})
        return scores

    def _resume(self) -> list[float]:
        """Restores the state of an interrupted process; returns the scores of its passes."""
        path = self.folder.pretraining_state
        if not path.exists():
            return []
        advice = "delete it to adapt the encoder again"
        saved = SavedPretraining.check(read_progress(path), path, CheckpointError, advice)
        require_same_settings(saved, self.made_from, self.folder)
        load_state(path, self.model)
        logger.info(f"resuming after pass {len(saved.scores)}")
        return saved.scores

    def _pass(self, number: int, rows: np.ndarray, targets: np.ndarray, store: FeatureStore) -> float:
        """Trains on every image once, half of them mirrored; returns the mean loss per image, in nats.

        Args:
            number: Index of the pass, from 0.
            rows: Rows of the training images in the store.
            targets: Their word labels, (P, W).
            store: Their grids.
        """
        rng = np.random.default_rng((self.settings.seed, number))
        order = rng.permutation(len(rows))
        size = min(self.settings.batch_size, len(rows))
        steps = len(rows) // size  # the remaining images are different ones in each pass
        losses = []
        with progress_bar(total=steps, desc=f"pass {number + 1}", unit="batch") as bar:
            for step in range(steps):
                done = (number * steps + step) / (self.settings.epochs * steps)
                self.model.optimizer.learning_rate = self.settings.learning_rate * 0.5 * (1 + np.cos(np.pi * done))
                batch = order[step * size : (step + 1) * size]
                grids, labels = self._grids(store, rows[batch]), targets[batch]
                mirrored = rng.random(size) < 0.5
                grids[mirrored] = grids[mirrored, :, ::-1]
                labels[mirrored] = labels[mirrored][:, self.labels.mirrored]
                losses.append(float(self.model.train_on_batch(grids, labels)))
                bar.update()
        if not np.isfinite(losses).all():
            raise FeatureError(
                f"the loss is {losses[-1]} in pass {number + 1}: lower encoder.pretrain_on_words.learning_rate"
            )
        return float(np.mean(losses))

    def _predict(self, rows: np.ndarray, store: FeatureStore) -> np.ndarray:
        """Returns the logit of each word for images, (P, W)."""
        size = self.settings.batch_size
        parts = (rows[first : first + size] for first in range(0, len(rows), size))
        return np.concatenate([self.model.predict_on_batch(self._grids(store, part)) for part in parts])

    def _grids(self, store: FeatureStore, rows: np.ndarray) -> np.ndarray:
        return store.gather(rows).astype(np.float32).reshape(-1, *self.grid)


def multilabel_cross_entropy(targets: Any, logits: Any) -> Any:
    """Returns the cross-entropy of word labels (P, W) in nats, summed over words and averaged over images."""
    return ops.mean(ops.sum(ops.softplus(logits) - targets * logits, axis=-1))


def _set_trainable(layer: keras.layers.Layer, value: bool) -> None:
    layer.trainable = value
    for weight in layer.weights:
        weight.trainable = value
