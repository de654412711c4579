"""A joint embedding over two encoders of the same size that see different pixels: a preset's and a small CNN's."""

import json

import numpy as np
import pytest

from capsmith import load_config, train
from capsmith.cli import main
from capsmith.data.prepare import extract_store, read_corpus
from capsmith.models.embedders import load_embedder
from capsmith.vision.images import load_sizes
from tests.support import toy
from tests.support.toy_embedding import EMBEDDING, TRAINING


@pytest.fixture(scope="module")
def config(tmp_path_factory, presets):
    place = tmp_path_factory.mktemp("hub_embedding")
    values = toy.settings(toy.make_data(place / "data"), place / "cache")
    for name in ("decoder", "decoding"):
        del values[name]
    values["encoder"] = [
        {"type": "hub", "preset": str(presets["dinov2"][0]), "output": "pooled"},
        {"type": "small_cnn", "weights": "none", "image_size": 32},
    ]
    values |= {
        "embedding": EMBEDDING,
        "training": TRAINING | {"epochs": 1, "batch_size": 6},
        "evaluation": {"after_training": None},
    }
    return load_config(values), place


@pytest.fixture(scope="module")
def run(config):
    values, place = config
    train(values, place / "run")
    return place / "run"


def test_images_are_embedded_with_the_pixels_of_training(config, run):
    embedder = load_embedder([run])
    first, second = embedder.image_sizes
    assert tuple(first) == tuple(second) == (32, 32) and first != second
    records = read_corpus(config[0].data, config[0].features).records[:4]
    pixels = zip(*(load_sizes(record.path, embedder.image_sizes) for record in records), strict=True)
    arrays = [np.stack(part) for part in pixels]
    assert (arrays[0] != arrays[1]).any()
    store = extract_store(records, config[0].encoders, config[0].features)
    expected = store.gather(store.rows([record.image_id for record in records]))
    np.testing.assert_allclose(embedder.encode(*arrays), expected, atol=5e-3)


def test_an_index_of_images_is_searched_by_image(config, run, capsys):
    images, index = config[1] / "data" / "images", config[1] / "images.index"
    assert main(["index", str(run), str(images), "--out", str(index)]) == 0
    capsys.readouterr()
    query = images / "blue_box.png"
    assert main(["search", str(index), "--image", str(query), "--json"]) == 0
    assert "blue_box.png" in json.loads(capsys.readouterr().out.splitlines()[0])["image"]
