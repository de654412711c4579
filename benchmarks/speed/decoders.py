"""Entrants that caption with one merge model: capsmith's searches, and the notebook's loop."""

from typing import Any

import numpy as np

from benchmarks.speed.contest import Round
from benchmarks.speed.corpus import VOCABULARY, features, vocabulary
from benchmarks.speed.ways import CHANNELS, NOTEBOOK_LENGTH, UNITS, D

WORDS = 12
"""A caption's length here: an untrained model would never end, so all are cut after as many words."""


def capsmith(decoder: str, search: str, beams: int, batch: int, rounds: int) -> Round:
    """Captions ``rounds`` batches of images from their features."""
    from capsmith.config import load_config
    from capsmith.decoding.config import BeamConfig, GreedyConfig
    from capsmith.decoding.search import search as run
    from capsmith.decoding.stepper import DecoderStepper
    from capsmith.models.caption_model import build_model

    attends = decoder not in ("merge", "inject")
    shape = (64, D) if attends else (D,)
    sets = [f"decoder.type={decoder}", f"decoder.units={UNITS}", f"decoder.embedding.size={CHANNELS}"]
    config = load_config("flickr8k_attention.yaml" if attends else "flickr8k.yaml", sets)
    model = build_model(config, vocabulary(), shape, None, None)
    stepper = DecoderStepper(never_ending(model.decoder))
    seen = features(shape).gather(np.arange(batch))
    how = GreedyConfig(max_length=WORDS) if search == "greedy" else BeamConfig(beam_size=beams, max_length=WORDS)
    run(stepper, seen, how)

    def work() -> float:
        for _ in range(rounds):
            run(stepper, seen, how)
        return batch * rounds

    return work


def never_ending(decoder: Any) -> Any:
    """Returns a decoder that never predicts the end: every search runs to the longest caption."""
    from capsmith.data.text.vocabulary import END

    bias = decoder.bias if decoder.config.tie_embeddings else decoder.output_layer.bias
    values = np.array(bias)
    values[END] = -1e4
    bias.assign(values)
    return decoder


def notebook(captions: int) -> Round:
    """One image at a time, with ``predict`` over the padded prefix for every word."""
    import keras

    image, words = keras.Input((D,)), keras.Input((NOTEBOOK_LENGTH,))
    v = keras.layers.Dense(UNITS, activation="relu")(image)
    h = keras.layers.LSTM(UNITS)(keras.layers.Embedding(VOCABULARY, CHANNELS, mask_zero=True)(words))
    mixed = keras.layers.Dense(UNITS, activation="relu")(keras.layers.Add()([v, h]))
    model = keras.Model([image, words], keras.layers.Dense(VOCABULARY, activation="softmax")(mixed))
    seen = features((D,)).gather(np.arange(1))

    def caption() -> None:
        sentence = [1]
        for _ in range(WORDS):
            padded = np.array([[0] * (NOTEBOOK_LENGTH - len(sentence)) + sentence])
            sentence.append(int(np.argmax(model.predict([seen, padded], verbose=0))))

    caption()

    def work() -> float:
        for _ in range(captions):
            caption()
        return captions

    return work
