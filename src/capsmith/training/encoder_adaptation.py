"""Adapting an encoder to what captions speak of, before its features are made.

ImageNet's classes are not the words of captions. Here the last block of an encoder learns which words stand in a
image's captions (word detection: Fang et al. 2015, "From captions to visual concepts and back"; Wu et al. 2016),
beneath one linear layer that is thrown away afterwards. What the layers before it give is extracted once, like any
other features, so that a pass over the images takes a minute, not ten.

P images · W words · the grid before the block has rows, columns and channels.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from capsmith.config import Config
from capsmith.core.errors import CheckpointError, FeatureError
from capsmith.core.files import atomic, read_json, write_json
from capsmith.core.log import get_logger
from capsmith.core.progress import progress_bar
from capsmith.core.readers.json_files import FileSchema
from capsmith.core.readers.regular_files import open_regular
from capsmith.data.records import Corpus, Record
from capsmith.models.checkpoints import load_state, read_progress, save_state
from capsmith.training.word_labels import Words, average_precision, counted
from capsmith.vision.config import EncoderConfig, PretrainOnWordsConfig
from capsmith.vision.encoder import Encoder, build_encoder, head_after
from capsmith.vision.encoder_folder import encoder_folders
from capsmith.vision.encoders import ENCODERS
from capsmith.vision.extraction import extract
from capsmith.vision.fingerprint import describe_differences, encoder_fingerprint, json_sha256
from capsmith.vision.from_layer import extract_from_layer
from capsmith.vision.journal import locked_store
from capsmith.vision.networks import layers_after
from capsmith.vision.store import FeatureStore
from capsmith.vision.weights import load_weights_file, replacing

logger = get_logger(__name__)

WEIGHTS, NOTE, STATE = "encoder.weights.h5", "adapted.json", "adapting.npz"
_FASTER = 10.0  # the linear layer's rate over that of the block
_DROPOUT = 0.5


def adapt_encoders(config: Config, corpus: Corpus) -> None:
    """Makes the adapted encoders that a config names and that are not there yet.

    A process that was killed goes on after its last whole pass.

    Raises:
        CheckpointError: A folder holds something else, or cannot be written.
        FeatureError: The images cannot be read, the layer or the words cannot be used, or the loss is no number.
    """
    for encoder in config.encoders:
        if encoder.pretrain_on_words is not None:
            _adapt(encoder, encoder.pretrain_on_words, config, corpus)


def keep_adapted(config: Config, run: Path) -> None:
    """Copies the adapted encoders into a run, byte for byte: it can be evaluated and resumed when theirs are gone."""
    for encoder, encoder_folder in zip(config.encoders, encoder_folders(run, len(config.encoders)), strict=True):
        folder = encoder_folder.path
        if encoder.pretrain_on_words is None or encoder.pretrain_on_words.output.resolve() == folder.resolve():
            continue
        for name in (WEIGHTS, NOTE):
            try:
                source = open_regular(encoder.pretrain_on_words.output / name)
            except OSError as error:
                raise CheckpointError(
                    f"cannot read {encoder.pretrain_on_words.output / name}: {error.strerror or error}"
                ) from error
            with source, atomic(folder / name, "wb") as file:
                shutil.copyfileobj(source, file)


def _adapt(encoder: EncoderConfig, how: PretrainOnWordsConfig, config: Config, corpus: Corpus) -> None:
    before = encoder.model_copy(update={"pretrain_on_words": None})
    after = how.after or ENCODERS[encoder.type].block
    if after is None:
        raise FeatureError(
            f"encoder.pretrain_on_words.after: name the layer of {encoder.type} after which its layers are to learn"
        )
    records = [record for record in corpus.records if record.split in ("train", "dev")]
    made_from = _made_from(before, after, how, config, corpus)
    with locked_store(how.output):
        if _is_made(how.output, made_from):
            return
        logger.info(f"adapting {encoder.type} to the words of {len(corpus.split('train')):,} images, into {how.output}")
        words = Words.of(corpus.split("train"), config.text, config.training.flip_word_pairs, how.min_images)
        lesson = WordLabelTrainer(
            build_encoder(before), after, words, how, made_from
        )  # says what is wrong before the long work
        cut = before.model_copy(update={"layer": after, "output": "grid"})
        features = config.features.model_copy(update={"store": None})
        store = extract([(r.image_id, r.path) for r in records], cut, features)
        scores = lesson.run([record for record in records if record.image_id in store], store)
        write_json(how.output / NOTE, {"made_from": made_from, "scores": scores})
        (how.output / STATE).unlink(missing_ok=True)
        load_weights_file(lesson.encoder.core, how.output / WEIGHTS)  # of the best pass
        images = [(record.image_id, record.path) for record in corpus.records if record.image_id in store]
        extract_from_layer(store, images, head_after(lesson.encoder, encoder, after), encoder, config.features)


def _made_from(
    before: EncoderConfig, after: str, how: PretrainOnWordsConfig, config: Config, corpus: Corpus
) -> dict[str, Any]:
    """Returns all that decides what an encoder learns."""
    said = [[record.image_id, sorted(counted(record, config.text).items())] for record in corpus.split("train")]
    return {
        **{key: value for key, value in encoder_fingerprint(before).items() if key != "output"},
        **how.model_dump(mode="json", exclude={"output"}),
        "after": after,
        "mirror_words": [list(pair) for pair in config.training.flip_word_pairs],
        "captions": json_sha256(said)[:16],
    }


def _is_made(folder: Path, made_from: dict[str, Any]) -> bool:
    """Returns whether a folder holds the adapted encoder; raises CheckpointError when it holds another thing."""
    if not (folder / NOTE).exists():
        if (folder / WEIGHTS).exists() and not (folder / STATE).exists():
            raise CheckpointError(
                f"{folder} holds {WEIGHTS}, but not how it was made: name another encoder.pretrain_on_words.output"
            )
        return False
    note = read_json(folder / NOTE, CheckpointError)
    if not isinstance(note, dict) or not (folder / WEIGHTS).is_file():
        raise CheckpointError(f"{folder} is damaged or incomplete: delete it to adapt the encoder again")
    saved = _Saved.check(note, folder / NOTE, CheckpointError, f"delete {folder} to adapt the encoder again")
    _require_same(saved.made_from, made_from, folder)
    return True


class _Saved(FileSchema):
    """``adapted.json``, and the progress in ``adapting.npz``."""

    made_from: dict[str, Any]
    scores: list[float]


def _require_same(found: dict[str, Any], made_from: dict[str, Any], folder: Path) -> None:
    found = {PretrainOnWordsConfig.renamed.get(key, key): value for key, value in found.items()}  # of earlier versions
    if differs := describe_differences(found, made_from):
        hint = " (other data, data.limit or text settings)" if "captions:" in differs else ""
        raise CheckpointError(
            f"{folder} holds an encoder adapted with other settings ({differs}{hint}): "
            "name another encoder.pretrain_on_words.output"
        )


class WordLabelTrainer:
    """The block, the linear layer on it, and the passes over the images."""

    def __init__(
        self, encoder: Encoder, after: str, words: Words, how: PretrainOnWordsConfig, made_from: dict[str, Any]
    ) -> None:
        self.encoder, self.words, self.how, self.made_from = encoder, words, how, made_from
        block = layers_after(encoder.core, after)
        self.grid = tuple(int(n) for n in block.inputs[0].shape[1:])
        for layer in block.layers:  # statistics of few images would spoil those of a whole data set
            _set_trainable(layer, not isinstance(layer, keras.layers.BatchNormalization))
        if len(self.grid) != 3 or not any(layer.trainable_variables for layer in block.layers):
            raise FeatureError(
                f"encoder.pretrain_on_words.after: behind '{after}' no layer of a grid learns: name an earlier one"
            )
        seen = keras.Input(self.grid)
        found = block(seen)
        found = keras.layers.GlobalAveragePooling2D()(found) if len(found.shape) == 4 else found
        found = keras.layers.Dropout(_DROPOUT, seed=how.seed)(keras.layers.BatchNormalization()(found))
        self.linear = keras.layers.Dense(len(words.column), kernel_initializer="zeros")
        self.detector = keras.Model(seen, keras.layers.Rescaling(_FASTER)(self.linear(found)))
        jit = keras.backend.backend() == "jax"
        self.detector.compile(keras.optimizers.Adam(how.learning_rate), loss=multilabel_cross_entropy, jit_compile=jit)
        self.detector.optimizer.build(self.detector.trainable_variables)

    def run(self, records: Sequence[Record], store: FeatureStore) -> list[float]:
        """Learns; returns each pass's score: how well dev images' words were found, or without any minus the loss."""
        train, dev = ([r for r in records if r.split == split] for split in ("train", "dev"))
        sure, there = self.words.of_images(train), self.words.of_images(dev) > 0
        rows, dev_rows = (store.rows([r.image_id for r in some]) for some in (train, dev))
        share = sure.mean(axis=0).clip(1e-4, 1 - 1e-4)
        self.linear.bias.assign(np.log(share / (1 - share)) / _FASTER)
        scores = self._begun()
        for number in range(len(scores), self.how.epochs):
            loss = self._pass(number, rows, sure, store)
            found = average_precision(self._found(dev_rows, store), there) if dev else None
            scores.append(-loss if found is None else found)
            said = "" if found is None else f"  dev: words found with average precision {found:.4f}"
            logger.info(f"pass {number + 1}/{self.how.epochs}  loss {loss:.2f}{said}")
            if scores[-1] == max(scores):
                with replacing(self.how.output / WEIGHTS, self.encoder.core) as temporary:
                    self.encoder.core.save_weights(temporary)
            save_state(self.how.output / STATE, self.detector, {"made_from": self.made_from, "scores": scores})
        return scores

    def _begun(self) -> list[float]:
        """Takes up what an interrupted process left; returns the scores of its passes."""
        path = self.how.output / STATE
        if not path.exists():
            return []
        progress = _Saved.check(read_progress(path), path, CheckpointError, "delete it to adapt the encoder again")
        _require_same(progress.made_from, self.made_from, self.how.output)
        load_state(path, self.detector)
        logger.info(f"going on after pass {len(progress.scores)}")
        return progress.scores

    def _pass(self, number: int, rows: np.ndarray, sure: np.ndarray, store: FeatureStore) -> float:
        """Shows every training image once, every other one mirrored; returns the mean loss of an image, in nats."""
        rng = np.random.default_rng((self.how.seed, number))
        order = rng.permutation(len(rows))
        size = min(self.how.batch_size, len(rows))
        steps = len(rows) // size  # images left over come in another pass
        losses = []
        with progress_bar(total=steps, desc=f"pass {number + 1}", unit="batch") as shown:
            for step in range(steps):
                done = (number * steps + step) / (self.how.epochs * steps)
                self.detector.optimizer.learning_rate = self.how.learning_rate * 0.5 * (1 + np.cos(np.pi * done))
                some = order[step * size : (step + 1) * size]
                seen, said = self._seen(store, rows[some]), sure[some]
                turned = rng.random(size) < 0.5
                seen[turned] = seen[turned, :, ::-1]
                said[turned] = said[turned][:, self.words.mirrored]
                losses.append(float(self.detector.train_on_batch(seen, said)))
                shown.update()
        if not np.isfinite(losses).all():
            raise FeatureError(
                f"the loss is {losses[-1]} in pass {number + 1}: lower encoder.pretrain_on_words.learning_rate"
            )
        return float(np.mean(losses))

    def _found(self, rows: np.ndarray, store: FeatureStore) -> np.ndarray:
        size = self.how.batch_size
        parts = (rows[first : first + size] for first in range(0, len(rows), size))
        return np.concatenate([self.detector.predict_on_batch(self._seen(store, some)) for some in parts])

    def _seen(self, store: FeatureStore, rows: np.ndarray) -> np.ndarray:
        return store.gather(rows).astype(np.float32).reshape(-1, *self.grid)


def multilabel_cross_entropy(sure: Any, logits: Any) -> Any:
    """Returns the cross-entropy of each image's words, in nats, summed over words, mean over images."""
    return ops.mean(ops.sum(ops.softplus(logits) - sure * logits, axis=-1))


def _set_trainable(layer: keras.layers.Layer, value: bool) -> None:
    layer.trainable = value
    for weight in layer.weights:
        weight.trainable = value
