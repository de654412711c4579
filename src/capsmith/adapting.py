"""Adapting an encoder to what captions speak of, before its features are made.

ImageNet's classes are not the words of captions. Here the last block of an encoder learns which words stand in a
picture's captions (word detection: Fang et al. 2015, "From captions to visual concepts and back"; Wu et al. 2016),
beneath one linear layer that is thrown away afterwards. What the layers before it give is extracted once, like any
other features, so that a pass over the pictures takes a minute, not ten.

P pictures · W words · H, W' rows and columns of the grid · C channels before the block.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from capsmith.checkpoints import load_state, save_state
from capsmith.config import Config
from capsmith.data.records import Corpus, Record
from capsmith.errors import CheckpointError, FeatureError
from capsmith.features.backbone import Encoder, build_encoder
from capsmith.features.config import AdaptConfig, EncoderConfig
from capsmith.features.encoders import ENCODERS
from capsmith.features.extraction import extract
from capsmith.features.fingerprint import differences, digest, fingerprint
from capsmith.features.journal import locked
from capsmith.features.networks import behind, layers_by_name
from capsmith.features.store import FeatureStore
from capsmith.features.weights import replacing
from capsmith.progress import bar
from capsmith.runs import Log, read_json, write_json
from capsmith.text.config import TextConfig
from capsmith.text.tokenise import tokenise

NOTE, STATE = "adapted.json", "state.npz"
_COMMON = 0.75  # words of more pictures than this share say nothing about any
_FEW = 5  # dev pictures that must have a word for its average precision to mean something
_FASTER = 10.0  # the linear layer's share of the learning rate over that of the block
_DROPOUT = 0.5


def adapt_encoders(config: Config, corpus: Corpus, log: Log) -> None:
    """Makes the adapted encoders that a config names and that are not there yet.

    A process that was killed goes on after its last whole epoch.

    Raises:
        CheckpointError: A folder holds an encoder that was adapted in another way, or cannot be written.
        FeatureError: The pictures cannot be read, or the network has no such layer.
    """
    for encoder in config.encoders:
        if encoder.adapt is not None:
            _adapt(encoder, encoder.adapt, config, corpus, log)


def _adapt(encoder: EncoderConfig, how: AdaptConfig, config: Config, corpus: Corpus, log: Log) -> None:
    before = encoder.model_copy(update={"adapt": None})
    made_from = {
        **fingerprint(before),
        **how.model_dump(mode="json", exclude={"into"}),
        "after": _after(encoder, how),
        "captions": digest([[r.image_id, *r.captions] for r in corpus.split("train")])[:16],
    }
    with locked(how.into):
        if (how.into / NOTE).exists():
            _require_same(how.into, made_from)
            return
        log(f"adapting {encoder.type} to the words of {len(corpus.split('train')):,} pictures, into {how.into}")
        cut = before.model_copy(update={"layer": made_from["after"], "output": "grid"})
        records = [record for record in corpus.records if record.split in ("train", "dev")]
        store = extract([(r.image_id, r.path) for r in records], cut, config.features, log)
        records = [record for record in records if record.image_id in store]
        words = Words.of([r for r in records if r.split == "train"], config, how.min_pictures)
        found = _Lesson(build_encoder(before), made_from["after"], words, how).run(records, store, log)
        write_json(how.into / NOTE, {"made_from": made_from, "scores": found})
        (how.into / STATE).unlink(missing_ok=True)


def _after(encoder: EncoderConfig, how: AdaptConfig) -> str:
    if after := how.after or ENCODERS[encoder.type].block:
        return after
    raise FeatureError(f"encoder.adapt.after: name the layer of {encoder.type} after which its layers are to learn")


def _require_same(folder: Path, made_from: dict[str, Any]) -> None:
    note = read_json(folder / NOTE, CheckpointError)
    found = note.get("made_from") if isinstance(note, dict) else None
    if not isinstance(found, dict):
        raise CheckpointError(f"{folder / NOTE} is damaged: delete {folder} to adapt the encoder again")
    if differs := differences(found, made_from):
        raise CheckpointError(
            f"{folder} holds an encoder adapted otherwise ({differs}): name another encoder.adapt.into"
        )


@dataclass(frozen=True)
class Words:
    """The words that are looked for.

    Attributes:
        column: Of each word.
        text: How captions are cut into words.
        mirrored: For each column that of the word to say of a mirrored picture: ``right``'s for ``left``'s.
    """

    column: dict[str, int]
    text: TextConfig
    mirrored: np.ndarray

    @classmethod
    def of(cls, records: Sequence[Record], config: Config, min_pictures: int) -> "Words":
        """Chooses the words of enough pictures, but not of nearly all.

        Raises:
            FeatureError: None is left.
        """
        pictures = Counter(word for record in records for word in _counted(record, config.text))
        chosen = [w for w, count in sorted(pictures.items()) if min_pictures <= count <= _COMMON * len(records)]
        if not chosen:
            raise FeatureError(
                f"encoder.adapt.min_pictures: no word stands in {min_pictures} pictures' captions: lower it"
            )
        column = {word: number for number, word in enumerate(chosen)}
        mirrored = np.arange(len(chosen))
        for pair in config.training.mirror_words:
            if set(pair) <= set(chosen):
                mirrored[[column[word] for word in pair]] = [column[word] for word in reversed(pair)]
        return cls(column, config.text, mirrored)

    def of_pictures(self, records: Sequence[Record]) -> np.ndarray:
        """Returns how sure it is that a picture shows a word (P, W): 1 where two captions say so, or the only one."""
        sure = np.zeros((len(records), len(self.column)), np.float32)
        for row, record in enumerate(records):
            for word, count in _counted(record, self.text).items():
                if word in self.column:
                    sure[row, self.column[word]] = min(1.0, count / min(2, len(record.captions)))
        return sure


def _counted(record: Record, text: TextConfig) -> Counter[str]:
    """Returns in how many of a picture's captions each word stands."""
    return Counter(word for caption in record.captions for word in set(tokenise(caption, text)))


class _Lesson:
    """The block, the linear layer on it, and the passes over the pictures."""

    def __init__(self, encoder: Encoder, after: str, words: Words, how: AdaptConfig) -> None:
        self.encoder, self.words, self.how = encoder, words, how
        self.folder, self.grid = how.into, tuple(int(n) for n in layers_by_name(encoder.core)[after].output.shape[1:])
        block = behind(encoder.core, after)
        for layer in block.layers:  # statistics of few pictures would spoil those of a whole data set
            _set_trainable(layer, not isinstance(layer, keras.layers.BatchNormalization))
        seen = keras.Input(self.grid)
        found = block(seen, training=False)
        found = keras.layers.GlobalAveragePooling2D()(found) if len(found.shape) == 4 else found
        found = keras.layers.Dropout(_DROPOUT, seed=how.seed)(keras.layers.BatchNormalization()(found))
        self.linear = keras.layers.Dense(len(words.column), kernel_initializer="zeros")
        self.detector = keras.Model(seen, keras.layers.Rescaling(_FASTER)(self.linear(found)))
        jit = keras.backend.backend() == "jax"
        self.detector.compile(keras.optimizers.Adam(how.learning_rate), loss=_surprise, jit_compile=jit)
        self.detector.optimizer.build(self.detector.trainable_variables)

    def run(self, records: Sequence[Record], store: FeatureStore, log: Log) -> list[float]:
        """Learns; returns each pass's score: how well dev pictures' words were found, or without any minus the loss."""
        train, dev = ([r for r in records if r.split == split] for split in ("train", "dev"))
        sure, there = self.words.of_pictures(train), self.words.of_pictures(dev) > 0
        rows, dev_rows = (store.rows([r.image_id for r in some]) for some in (train, dev))
        share = sure.mean(axis=0).clip(1e-4, 1 - 1e-4)
        self.linear.bias.assign(np.log(share / (1 - share)) / _FASTER)
        scores: list[float] = []
        if (self.folder / STATE).exists():
            scores = load_state(self.folder / STATE, self.detector)["scores"]
            log(f"going on after pass {len(scores)}")
        for number in range(len(scores), self.how.epochs):
            loss = self._pass(number, rows, sure, store)
            scores.append(average_precision(self._found(dev_rows, store), there) if dev else -loss)
            seen = f"  dev: words found with average precision {scores[-1]:.4f}" if dev else ""
            log(f"pass {number + 1}/{self.how.epochs}  loss {loss:.2f}{seen}")
            if scores[-1] == max(scores):
                with replacing(self.folder / "encoder.weights.h5", self.encoder.core) as temporary:
                    self.encoder.core.save_weights(temporary)
            save_state(self.folder / STATE, self.detector, {"scores": scores})
        return scores

    def _pass(self, number: int, rows: np.ndarray, sure: np.ndarray, store: FeatureStore) -> float:
        rng = np.random.default_rng((self.how.seed, number))
        order = rng.permutation(len(rows))
        size = min(self.how.batch_size, len(rows))
        steps = len(rows) // size  # pictures left over come in another pass
        losses = []
        with bar(total=steps, desc=f"pass {number + 1}", unit="batch") as shown:
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
        return float(np.mean(losses))

    def _found(self, rows: np.ndarray, store: FeatureStore) -> np.ndarray:
        size = self.how.batch_size
        parts = (rows[first : first + size] for first in range(0, len(rows), size))
        return np.concatenate([self.detector.predict_on_batch(self._seen(store, some)) for some in parts])

    def _seen(self, store: FeatureStore, rows: np.ndarray) -> np.ndarray:
        return store.gather(rows).astype(np.float32).reshape(-1, *self.grid)


def average_precision(found: np.ndarray, there: np.ndarray) -> float:
    """Returns the mean over words of the average precision with which pictures that show them are ranked.

    Args:
        found: How sure a model is, (P, W).
        there: Whether the word stands in the picture's captions, (P, W).
    """
    return float(np.mean([*_precisions(found, there)] or [0.0]))


def _precisions(found: np.ndarray, there: np.ndarray) -> Iterator[float]:
    for scores, right in zip(found.T, there.T, strict=True):
        if right.sum() >= _FEW:
            ranked = right[np.argsort(-scores, kind="stable")]
            yield float((np.cumsum(ranked) / np.arange(1, len(ranked) + 1))[ranked].mean())


def _surprise(sure: Any, logits: Any) -> Any:
    """Returns the cross-entropy of each picture's words, in nats, summed over words, mean over pictures."""
    return ops.mean(ops.sum(ops.softplus(logits) - sure * logits, axis=-1))


def _set_trainable(layer: keras.layers.Layer, value: bool) -> None:
    layer.trainable = value
    for variable in layer.variables:
        variable.trainable = value
