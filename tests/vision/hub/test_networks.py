"""Encoders made of presets against keras-hub's own outputs."""

import json
import shutil

import numpy as np
import pytest

from capsmith.core.errors import CheckpointError, ConfigError
from capsmith.vision.config import EncoderConfig
from capsmith.vision.encoder import build_encoder
from capsmith.vision.fingerprint import encoder_fingerprint
from capsmith.vision.saved_encoder import load_encoder, save_encoder
from tests.support.tiny_hub import SIDE, WIDTH, save_tiny

PIXELS = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3)).astype(np.uint8)
LEADING = {"clip": 1, "vit": 1, "dinov2": 3, "dinov3": 4, "siglip": 0}
"""Class and register tokens of the fixture's presets."""
INPUTS = {"dinov2": "images", "dinov3": "pixel_values"}


def config(folder, **more):
    return EncoderConfig(**{"type": "hub", "preset": str(folder), **more})


def scaled(pixels):
    """What the image converters of the fixture's presets make of pixels of the right size."""
    return (pixels / 255 - [0.48, 0.45, 0.4]) / [0.25, 0.26, 0.27]


def keras_hubs_own(kind, backbone, pixels):
    """Returns grid and pooled output, by keras-hub."""
    images = scaled(pixels).astype(np.float32)
    if kind == "siglip":
        tokens = backbone.vision_encoder.embedding(images)
        for block in backbone.vision_encoder.encoder_layers:
            tokens = block(tokens)
        tokens = np.asarray(backbone.vision_encoder.post_layer_norm(tokens))
        return tokens, np.asarray(backbone.vision_encoder({"images": images}))
    if kind == "clip":
        tokens = backbone.vision_encoder({"images": images})
        return np.asarray(tokens)[:, 1:], np.asarray(backbone.vision_pooler(tokens))
    tokens = np.asarray(backbone(images if kind == "vit" else {INPUTS[kind]: images}))
    return tokens[:, LEADING[kind] :], tokens[:, 0]


@pytest.mark.parametrize("kind", LEADING)
def test_features_are_those_of_keras_hub_and_a_run_needs_no_preset(presets, kind, tmp_path):
    folder, backbone = presets[kind]
    copied = shutil.copytree(folder, tmp_path / "preset")
    for output, expected in zip(("grid", "pooled"), keras_hubs_own(kind, backbone, PIXELS), strict=True):
        settings = config(copied, output=output)
        encoder = build_encoder(settings)
        assert encoder.image_size == encoder.preset.image_size and list(encoder.image_size) == [SIDE, SIDE]
        assert encoder.feature_shape == ((16, WIDTH) if output == "grid" else (WIDTH,))
        assert encoder.grid == ((4, 4) if output == "grid" else (1, 1))
        np.testing.assert_allclose(encoder.encode(PIXELS), expected, atol=2e-5)
        save_encoder(encoder, tmp_path / output)
    shutil.rmtree(copied)
    again = load_encoder(config(copied, output="grid"), tmp_path / "grid")
    grid = keras_hubs_own(kind, backbone, PIXELS)[0]
    np.testing.assert_allclose(again.encode(PIXELS), grid, atol=2e-5)
    assert again.image_size == encoder.image_size and again.fingerprint["weights"].startswith("sha256:")
    assert sorted(path.name for path in (tmp_path / "grid").iterdir()) == ["encoder.json", "encoder.weights.h5"]


def test_regions_are_row_by_row_from_the_top_left(tmp_path):
    pytest.importorskip("keras_hub", reason="needs capsmith[hub]")
    backbone = save_tiny("vit", tmp_path / "vit")
    for weight in backbone.weights:
        if "attention_output" in weight.path or "output_dense" in weight.path:
            weight.assign(np.zeros(weight.shape))  # tokens then see their own patch only
    backbone.save_to_preset(str(tmp_path / "vit"))
    encoder = build_encoder(config(tmp_path / "vit", output="grid"))
    changed = PIXELS[:1].copy()
    changed[:, 8:16, 24:32] ^= 255  # row 1, column 3
    difference = np.abs(encoder.encode(changed) - encoder.encode(PIXELS[:1])).max(axis=-1)[0]
    assert np.flatnonzero(difference > 1e-4).tolist() == [7]


def test_dinov2_takes_other_sizes_and_224_by_default(presets, tmp_path):
    folder, _ = presets["dinov2"]
    encoder = build_encoder(config(folder, output="grid", image_size=48))
    assert encoder.feature_shape == (36, WIDTH) and encoder.grid == (6, 6)
    assert list(encoder.image_size) == [48, 48] and encoder.image_size.framing.shorter == 54
    save_encoder(encoder, tmp_path)
    pixels = np.random.default_rng(1).integers(0, 256, (1, 48, 48, 3)).astype(np.uint8)
    again = load_encoder(config(folder, output="grid", image_size=48), tmp_path)
    np.testing.assert_array_equal(again.encode(pixels), encoder.encode(pixels))
    large = tmp_path / "large"
    save_tiny("dinov2", large, image_shape=(518, 518, 3), position_embedding_shape=(518, 518), patch_size=14)
    by_default = build_encoder(config(large))
    assert list(by_default.image_size) == [224, 224] and by_default.image_size.framing.shorter == 256


@pytest.mark.parametrize(
    ("kind", "size", "named"),
    [("vit", 48, "remove image_size"), ("dinov2", 50, "50"), ("dinov2", (32, 48), "square")],
)
def test_sizes_that_do_not_fit_are_errors(presets, kind, size, named):
    with pytest.raises(ConfigError, match=named):
        build_encoder(config(presets[kind][0], image_size=size))


def test_the_fingerprint_is_that_of_the_files_not_of_the_path(presets, tmp_path):
    folder, _ = presets["vit"]
    copied = shutil.copytree(folder, tmp_path / "copy")
    assert encoder_fingerprint(config(copied)) == encoder_fingerprint(config(folder))
    converter = json.loads((copied / "image_converter.json").read_text())
    converter["config"]["scale"] = 1.0
    (copied / "image_converter.json").write_text(json.dumps(converter))
    assert encoder_fingerprint(config(copied)) != encoder_fingerprint(config(folder))
    own = encoder_fingerprint(config(presets["dinov2"][0]))
    assert own != encoder_fingerprint(config(presets["dinov2"][0], image_size=48))


def test_a_preset_without_image_converter_has_the_published_scaling(tmp_path):
    pytest.importorskip("keras_hub", reason="needs capsmith[hub]")
    save_tiny("vit", tmp_path / "vit", converter=False)
    encoder = build_encoder(config(tmp_path / "vit"))
    values = np.multiply(255, encoder.preset.scale) + encoder.preset.offset
    np.testing.assert_allclose([*values, *encoder.preset.offset], [1, 1, 1, -1, -1, -1])


# --- damaged presets --------------------------------------------------------------------------------------------------


def broken(presets, tmp_path, change):
    """Returns a copy of the ViT preset whose ``config.json`` was changed by a function."""
    folder = shutil.copytree(presets["vit"][0], tmp_path / "vit")
    content = json.loads((folder / "config.json").read_text())
    change(content)
    (folder / "config.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"hidden_dim": 17}, "num_heads"),
        ({"hidden_dim": 4096, "num_layers": 1000}, "holds"),
        ({"hidden_dim": 18}, "numbers"),
        ({"image_shape": [32, 40, 3]}, "32 x 40"),
        ({"image_shape": [99999, 99999, 3]}, "99999"),
        ({"num_layers": "two"}, "num_layers"),
        ({"patch_size": [8, 4]}, "patches"),
        ({"mlp_dim": 1e999}, "Infinity"),
    ],
)
def test_numbers_that_do_not_fit_are_one_line(presets, tmp_path, change, named):
    folder = broken(presets, tmp_path, lambda content: content["config"].update(change))
    with pytest.raises(CheckpointError, match=named) as error:
        build_encoder(config(folder))
    assert "\n" not in str(error.value) and str(folder) in str(error.value)


def test_a_damaged_description_in_a_run_is_one_line(presets, tmp_path):
    settings = config(presets["vit"][0])
    save_encoder(build_encoder(settings), tmp_path)
    good = json.loads((tmp_path / "encoder.json").read_text())
    for preset in (
        None,
        {},
        good["preset"] | {"backbone": "GPT2Backbone"},
        good["preset"] | {"side": 48},
        good["preset"] | {"shorter": 5},
        good["preset"] | {"scale": [1.0]},
    ):
        (tmp_path / "encoder.json").write_text(json.dumps(good | {"preset": preset}))
        with pytest.raises(CheckpointError, match=r"encoder\.json"):
            load_encoder(settings, tmp_path)
