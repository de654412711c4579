"""Entrants that train the merge model: capsmith, a notebook and plain Keras (PyTorch: ``torch_ways``).

All have the same layers: words of E channels through an LSTM of U units, the image through a dense layer of U units,
their sum through another, and a product with the vocabulary. A round trains on some captions; the rate is captions per
second.

B captions · T words · U units · E word channels · V vocabulary · D feature channels.
"""

from typing import Any

import numpy as np

from benchmarks.speed.contest import Round
from benchmarks.speed.corpus import EACH, VOCABULARY, examples, features

UNITS, CHANNELS, D = 512, 300, 1280
BATCH, LONGEST = 160, 24
NOTEBOOK_LENGTH = 34
"""What notebooks pad to: the longest caption of Flickr8k with its start and end."""


def capsmith(decoder: str, precision: str, batches: int, sets: tuple[str, ...] = ()) -> Round:
    """Trains one of capsmith's decoders at the size of the other entrants."""
    same = (f"decoder.type={decoder}", f"decoder.units={UNITS}", f"decoder.embedding.size={CHANNELS}")
    if decoder in ("merge", "inject"):
        return _training("flickr8k.yaml", (*same, *sets), (D,), precision, batches)
    return _training("flickr8k_attention.yaml", (*same, *sets), (64, D), precision, batches)


def epoch(config: str, shape: tuple[int, ...], precision: str) -> Round:
    """Trains a config's model on as many captions as Flickr8k's train split has, from features of a shape."""
    return _training(config, (), shape, precision, None)


def _training(name: str, sets: tuple[str, ...], shape: tuple[int, ...], precision: str, batches: int | None) -> Round:
    """Trains as ``capsmith train`` does, with prefetched batches; a number per round, or all.

    Every round has the same batches, with short and long captions in the proportions of the data.
    """
    import keras

    _calculate_in(precision)
    from benchmarks.speed.corpus import vocabulary
    from capsmith.config import load_config
    from capsmith.core.compilation import training_step
    from capsmith.core.prefetch import prefetch
    from capsmith.data.batches import Batches
    from capsmith.models.caption_model import build_model
    from capsmith.training.optimizers import build_optimizer

    model = build_model(load_config(name, sets), vocabulary(), shape, None, None)
    optimizer = build_optimizer(load_config(name, (*sets, "training.optimizer=adam", "training.ema=null")).training)
    model.compile(optimizer, jit_compile=keras.backend.backend() == "jax")
    model.optimizer.build(model.trainable_variables)
    made = Batches(features(shape), examples(6000), BATCH, 0, group_by_image=len(shape) > 1)
    learn = training_step(model)
    order = sorted(range(len(made)), key=lambda index: made[index][1].shape[1])
    count = min(batches or len(made), len(made))
    chosen = [order[int((number + 0.5) * len(order) / count)] for number in range(count)]
    for index in {made[index][1].shape: index for index in chosen}.values():  # compiled before the clock runs
        for _ in range(2):
            learn(*made[index])

    def work() -> float:
        captions = 0
        for _, (inputs, targets) in prefetch(lambda index: made[index], chosen):
            learn(inputs, targets)
            captions += int((targets[:, 0] != 0).sum())
        return captions

    return work


def plain_keras(batches: int, precision: str = "float32") -> Round:
    """``keras.layers.LSTM`` and ``fit`` over complete sentences padded to one length."""
    import keras

    _calculate_in(precision)
    words = keras.Input((LONGEST,), dtype="int32")
    image = keras.Input((D,))
    x = keras.layers.Embedding(VOCABULARY, CHANNELS)(words)
    h = keras.layers.LSTM(UNITS, return_sequences=True)(keras.layers.Dropout(0.4)(x))
    v = keras.layers.Dense(UNITS, activation="relu")(keras.layers.Dropout(0.4)(image))
    both = keras.layers.Add()([keras.layers.Dropout(0.4)(h), keras.layers.Reshape((1, UNITS))(v)])
    mixed = keras.layers.Dropout(0.4)(keras.layers.Dense(UNITS, activation="relu")(both))
    out = keras.layers.Dense(VOCABULARY)(mixed)
    out = keras.layers.Activation("linear", dtype="float32")(out)
    model = keras.Model([image, words], out)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0)
    model.compile(keras.optimizers.Adam(1e-3, global_clipnorm=5.0), loss)
    rows, read, said = padded(BATCH * batches)
    seen = features((D,)).gather(rows)
    fit = {"batch_size": BATCH, "epochs": 1, "verbose": 0, "shuffle": False}
    model.fit([seen[:BATCH], read[:BATCH]], said[:BATCH], **fit)

    def work() -> float:
        model.fit([seen, read], said, **fit)
        return len(seen)

    return work


def notebook(images: int, precision: str = "float32") -> Round:
    """One row per prefix, one-hot targets, a generator that yields the rows of one image at a time."""
    import keras

    _calculate_in(precision)
    image = keras.Input((D,))
    words = keras.Input((NOTEBOOK_LENGTH,))
    v = keras.layers.Dense(UNITS, activation="relu")(keras.layers.Dropout(0.4)(image))
    x = keras.layers.Embedding(VOCABULARY, CHANNELS, mask_zero=True)(words)
    h = keras.layers.LSTM(UNITS)(keras.layers.Dropout(0.4)(x))
    mixed = keras.layers.Dense(UNITS, activation="relu")(keras.layers.Add()([v, h]))
    model = keras.Model([image, words], keras.layers.Dense(VOCABULARY, activation="softmax", dtype="float32")(mixed))
    model.compile("adam", "categorical_crossentropy")
    source, made = features((D,)), examples(images + 2)

    class Rows(keras.utils.PyDataset):
        def __init__(self, first: int, count: int) -> None:
            super().__init__()
            self.first, self.count = first, count

        def __len__(self) -> int:
            return self.count

        def __getitem__(self, index: int) -> Any:
            example = made[self.first + index]
            prefixes, nexts = [], []
            for caption in example.captions:
                sentence = [1, *caption, 2]
                for end in range(1, len(sentence)):
                    prefixes.append(np.array([0] * (NOTEBOOK_LENGTH - end) + sentence[:end]))
                    nexts.append(keras.utils.to_categorical(sentence[end], VOCABULARY))
            seen = source.gather(np.full(len(prefixes), example.row))
            return (seen, np.array(prefixes)), np.array(nexts)

    model.fit(Rows(0, 2), epochs=1, verbose=0)

    def work() -> float:
        model.fit(Rows(2, images), epochs=1, verbose=0)
        return images * EACH

    return work


def _calculate_in(precision: str) -> None:
    import keras

    keras.config.set_dtype_policy("float32" if precision == "float32" else f"mixed_{precision}")


def products(precision: str) -> Round:
    """Square matrix products; the rate is floating-point operations per second."""
    import keras

    from capsmith.core.precision import has_accelerator

    side, times = (8192, 40) if has_accelerator() else (2048, 6)
    one, other = (keras.ops.cast(keras.random.normal((side, side)), precision) for _ in range(2))

    def work() -> float:
        for _ in range(times):
            result = keras.ops.matmul(one, other)
        keras.ops.convert_to_numpy(result[:1, :1])  # waits for it
        return 2.0 * side**3 * times

    work()
    return work


def padded(captions: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns each caption's image (B,), and its inputs and targets, (B, T) each."""
    made = examples(-(-captions // EACH))
    flat = [(example.row, caption) for example in made for caption in example.captions][:captions]
    rows = np.array([row for row, _ in flat])
    read, said = np.zeros((2, len(flat), LONGEST), np.int32)
    for place, (_, caption) in enumerate(flat):
        read[place, : len(caption) + 1] = (1, *caption)
        said[place, : len(caption) + 1] = (*caption, 2)
    return rows, read, said
