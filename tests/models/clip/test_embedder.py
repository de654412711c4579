import json
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from capsmith.core.errors import CheckpointError, ConfigError
from capsmith.models.clip import embedder as module
from capsmith.models.embedders import load_embedder
from capsmith.vision.framing import ImageSize, Resize
from capsmith.vision.images import load_image
from tests.support.tiny_clip import LONGEST, SIDE, SIZE, WIDTH

RNG = np.random.default_rng(0)
TEXTS = ["a small dog with hat.", "red", "a photo of a dog", "", "dog " * 50, "наконец &amp; wow!"]


@pytest.fixture(scope="module")
def embedder(preset):
    return load_embedder(engine=f"clip:{preset}")


@pytest.fixture(scope="module")
def backbone(preset):
    """The same model as keras-hub itself loads it."""
    from keras_hub.models import CLIPBackbone

    return CLIPBackbone.from_preset(str(preset))


@pytest.fixture(scope="module")
def preprocessor(preset):
    from keras_hub.models import CLIPPreprocessor

    return CLIPPreprocessor.from_preset(str(preset), sequence_length=LONGEST)


def unit(vectors):
    vectors = np.asarray(vectors)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_sizes_are_known_without_loading_the_networks(preset):
    clip = load_embedder(engine=f"clip:{preset}")
    assert (clip.size, clip.visual_size) == (SIZE, WIDTH)
    assert clip.image_sizes == [ImageSize(SIDE, SIDE, Resize("bicubic", SIDE))]
    assert clip.bank is None and clip.name == f"clip:{preset}"


@pytest.mark.parametrize("images", [1, 9, 45])
def test_images_equal_keras_hubs_own_embeddings(embedder, backbone, preprocessor, images):
    pixels = RNG.integers(0, 256, (images, SIDE, SIDE, 3)).astype(np.uint8)
    scaled = preprocessor.image_converter(pixels.astype(np.float32))
    features = embedder.encode(pixels)
    assert features.shape == (images, WIDTH) and features.dtype == np.float32
    vectors = embedder.embed_features(features)
    np.testing.assert_allclose(vectors, unit(backbone.get_vision_embeddings(scaled)), atol=1e-5)
    pooled = backbone.vision_pooler(backbone.vision_encoder({"images": scaled}))
    np.testing.assert_allclose(embedder.visual_vectors(features), unit(pooled), atol=1e-5)


def test_texts_equal_keras_hubs_own_embeddings(embedder, backbone, preprocessor, monkeypatch):
    monkeypatch.setattr(module, "prompted", lambda text: [module.clean(text)])
    ids = preprocessor({"prompts": [module.clean(text) for text in TEXTS], "images": None})["token_ids"]
    expected = unit(backbone.get_text_embeddings(ids))
    np.testing.assert_allclose(embedder.embed_texts(TEXTS), expected, atol=1e-5)
    np.testing.assert_allclose(embedder.embed_texts(TEXTS[1:2]), expected[1:2], atol=1e-5)


def test_a_phrase_is_the_average_of_its_prompts(embedder, backbone, preprocessor):
    prompts = ["red dog", "a photo of red dog", "a picture of red dog"]
    ids = preprocessor({"prompts": prompts, "images": None})["token_ids"]
    expected = unit(unit(backbone.get_text_embeddings(ids)).sum(axis=0, keepdims=True))
    np.testing.assert_allclose(embedder.embed_texts(["  red  dog "]), expected, atol=1e-5)


def test_a_long_text_keeps_its_end_token_and_its_beginning(embedder):
    ids = embedder._towers.token_ids(["dog " * 50, "dog " * 50 + "red.", "red " * 50])
    tokenizer = embedder._towers.tokenizer
    dog = tokenizer.token_to_id("dog</w>")
    assert ids[0] == ids[1] == [tokenizer.start_token_id, *[dog] * (LONGEST - 2), tokenizer.end_token_id]
    vectors = embedder.embed_texts(["dog " * 50, "dog " * 90, "red " * 50])
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-5)
    assert np.abs(vectors[0] - vectors[2]).max() > 1e-3


def test_a_photograph_is_framed_and_scaled_as_clip_does(embedder, preset, backbone):
    """Against NumPy: the shorter side to 32 pixels, the centre, (x / 255 - mean) / std."""
    image = Image.fromarray(RNG.integers(0, 256, (60, 90, 3)).astype(np.uint8))
    resized = np.asarray(image.resize((48, 32), Image.Resampling.BICUBIC), np.float64)[:, 8:40]
    scaled = (resized / 255 - [0.48, 0.45, 0.4]) / [0.25, 0.26, 0.27]
    pixels = load_image(image, embedder.image_sizes[0], framing=embedder.framing)
    vectors = embedder.embed_features(embedder.encode(pixels[None]))
    expected = unit(backbone.get_vision_embeddings(scaled[None].astype(np.float32)))
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_words_that_the_tokenizer_spells_are_unknown(embedder):
    assert embedder.unknown_words("small xqz dog наконец a") == ["xqz", "наконец"]
    assert embedder.unknown_words("") == []


def test_nothing_at_all_is_embedded_as_nothing(embedder):
    assert embedder.embed_texts([]).shape == (0, SIZE)
    features = embedder.encode(np.zeros((0, SIDE, SIDE, 3), np.uint8))
    assert features.shape == (0, WIDTH) and embedder.embed_features(features).shape == (0, SIZE)


# --- the fingerprint --------------------------------------------------------------------------------------------------


@pytest.fixture
def copy(preset, tmp_path):
    return shutil.copytree(preset, tmp_path / "copy")


def test_the_fingerprint_follows_the_content_and_not_the_place(embedder, copy, monkeypatch):
    clip = load_embedder(engine=f"clip:{copy}")
    assert clip.fingerprint == embedder.fingerprint
    weights = bytearray((copy / "model.weights.h5").read_bytes())
    weights[len(weights) // 2] ^= 1
    (copy / "model.weights.h5").write_bytes(weights)
    assert load_embedder(engine=f"clip:{copy}").fingerprint != embedder.fingerprint
    monkeypatch.setattr(module, "METHOD", "other prompts")
    assert load_embedder(engine=embedder.name).fingerprint != embedder.fingerprint


# --- what is not a CLIP preset ----------------------------------------------------------------------------------------


def change(path, **values):
    content = json.loads(path.read_text())
    content.update(values)
    path.write_text(json.dumps(content))


def fails(engine, error, *names):
    """Loads the model and embeds; the error is one line with all the names."""
    with pytest.raises(error) as caught:
        load_embedder(engine=engine).embed_texts(["dog"])
    message = str(caught.value)
    assert "\n" not in message and len(message) < 700 and [name for name in names if name not in message] == []


def test_a_preset_of_another_family_is_named(copy):
    change(copy / "config.json", class_name="BertBackbone", registered_name="keras_hub>BertBackbone")
    fails(f"clip:{copy}", CheckpointError, "BertBackbone", "CLIPBackbone")


def test_a_hugging_face_folder_is_named(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "clip", "architectures": ["CLIPModel"]}')
    fails(f"clip:{tmp_path}", CheckpointError, "Hugging Face", "docs/clip.md")


def test_a_folder_that_is_no_preset_says_what_is_missing(copy, tmp_path):
    fails(f"clip:{tmp_path}", CheckpointError, str(tmp_path), "config.json")
    (copy / "assets" / "tokenizer" / "merges.txt").unlink()
    (copy / "model.weights.h5").unlink()
    fails(f"clip:{copy}", CheckpointError, "merges.txt", "model.weights.h5")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", b"{"),
        ("config.json", b'{"class_name": "CLIPBackbone", "config": {"projection_dim": -1}}'),
        ("assets/tokenizer/vocabulary.json", b"[1, 2]"),
        ("assets/tokenizer/merges.txt", b"no such rule of tokens\n\xff"),
        ("image_converter.json", b'{"config": {"scale": [1, 2]}}'),
        ("model.weights.h5", b"not HDF5"),
    ],
)
def test_damaged_files_are_one_line(copy, file, content):
    (copy / file).write_bytes(content)
    fails(f"clip:{copy}", CheckpointError, str(copy))


def test_a_model_larger_than_its_weights_is_not_built(copy):
    config = json.loads((copy / "config.json").read_text())
    config["config"]["text_encoder"]["config"]["num_layers"] = 900
    (copy / "config.json").write_text(json.dumps(config))
    fails(f"clip:{copy}", CheckpointError, "model.weights.h5", "config.json")


def test_weights_of_other_sizes_are_refused(copy):
    config = json.loads((copy / "config.json").read_text())
    config["config"]["projection_dim"] = 13
    (copy / "config.json").write_text(json.dumps(config))
    fails(f"clip:{copy}", CheckpointError, "model.weights.h5")


def test_without_tensorflow_text_the_package_is_named(preset, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_text", None)
    fails(f"clip:{preset}", ConfigError, "tensorflow-text")


@pytest.mark.parametrize("engine", ["", "clip:", "clip", "siglip:x", "CLIP:x"])
def test_an_unknown_engine_is_refused(engine):
    fails(engine, ConfigError, "clip:PRESET")


def test_a_path_that_does_not_exist_is_not_taken_for_a_name(tmp_path):
    fails(f"clip:{tmp_path / 'none'}", ConfigError, "no such folder")
