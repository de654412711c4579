"""The networks in Keras against the same functions in NumPy."""

import numpy as np
import pytest
from keras import ops

from capsmith.models.embedding.config import JointEmbeddingConfig
from capsmith.models.embedding.network import EmbeddingModel
from capsmith.retrieval.heads import pooled_input
from capsmith.training.embedding.config import EmbeddingTrainingConfig

TOKENS = np.array([[5, 6, 7, 0, 0], [8, 0, 0, 0, 0], [9, 4, 6, 1, 3], [0, 0, 0, 0, 0]], np.int32)
WORDS = {"size": 6}
TEXTS = [
    {"type": "bag_of_words"},
    {"type": "bag_of_words", "hidden": 5},
    {"type": "convolutional", "filters": 4, "widths": [1, 3]},
    *({"type": "recurrent", "units": 4, "cell": c, "pooling": p} for c in ("gru", "lstm") for p in ("max", "last")),
    {"type": "recurrent", "units": 4, "pooling": "mean_max", "bag_of_words": False},
    {"type": "recurrent", "units": 4, "pooling": "last", "bidirectional": False},
]
IMAGES = [{"pooling": name} for name in ("mean", "max", "mean_max", "attention")] + [{"hidden": 5}]


def model(image=None, text=None):
    config = JointEmbeddingConfig.model_validate(
        {"size": 8, "image": image or {}, "text": {**(text or TEXTS[0]), "words": WORDS}}
    )
    inputs = 14 if image and image.get("pooling") == "mean_max" else 7
    made = EmbeddingModel(config, EmbeddingTrainingConfig(), inputs, 12)
    rng = np.random.default_rng(0)
    for weight in made.trainable_variables:
        weight.assign(rng.normal(size=weight.shape).astype(np.float32))
    return made


@pytest.mark.parametrize("text", TEXTS, ids=str)
def test_texts(text):
    made = model(text=text)
    head = made.text.head()
    assert head(TOKENS) == pytest.approx(ops.convert_to_numpy(made.text(TOKENS)), abs=1e-5)
    assert np.linalg.norm(head(TOKENS), axis=1) == pytest.approx(1, abs=1e-5)
    assert head(TOKENS[:2, :3]) == pytest.approx(head(TOKENS)[:2], abs=1e-6)  # padding is nothing


@pytest.mark.parametrize("image", IMAGES, ids=str)
def test_images(image):
    made, grids = model(image=image), np.random.default_rng(1).normal(3, 2, (6, 4, 7)).astype(np.float32)
    pooling = made.image.config.pooling
    made.scaling.learn(pooled_input(grids, pooling))
    given = made({"features": pooled_input(grids, pooling), "tokens": TOKENS})[0]
    head = made.heads()[0]
    assert head(grids) == pytest.approx(ops.convert_to_numpy(given), abs=1e-5)
    if pooling in ("mean", "max"):
        assert head(pooled_input(grids, pooling)) == pytest.approx(head(grids), abs=1e-6)


def test_word_order_is_seen_by_all_but_the_bag():
    for text in TEXTS:
        head = model(text=text).text.head()
        one, other = head(np.array([[4, 5, 6, 7], [7, 6, 5, 4]]))
        assert np.allclose(one, other, atol=1e-5) == (text["type"] == "bag_of_words")
