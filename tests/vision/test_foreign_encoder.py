"""``encoder.type: onnx`` with ``preprocess``: image encoders that other programs wrote, against NumPy."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from capsmith.core.errors import CheckpointError, FeatureError
from capsmith.vision.config import EncoderConfig
from capsmith.vision.encoder import build_encoder
from capsmith.vision.framing import Resize
from capsmith.vision.saved_encoder import load_encoder, save_encoder
from tests.support.exports import model, value

RNG = np.random.default_rng(0)
D = 5
KERNEL = RNG.normal(size=(D, 3, 4, 4)).astype(np.float32)
CLASS = RNG.normal(size=(1, 1, D)).astype(np.float32)
PIXELS = RNG.integers(0, 256, (3, 16, 16, 3)).astype(np.uint8)
TORCH = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def write(path, shape=(1, 3, 16, 16), outputs=("tokens", "pooled"), kind=TensorProto.FLOAT):
    """Writes a patch embedding with a class token: ``map`` (1, D, 4, 4), ``tokens`` (1, 17, D), ``pooled`` (1, D)."""
    last = shape[3] == 3
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["first"], perm=[0, 3, 1, 2] if last else [0, 1, 2, 3]),
        helper.make_node("Conv", ["first", "kernel"], ["map"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Reshape", ["map", "flat"], ["columns"]),
        helper.make_node("Transpose", ["columns"], ["patches"], perm=[0, 2, 1]),
        helper.make_node("Concat", ["class", "patches"], ["tokens"], axis=1),
        helper.make_node("ReduceMean", ["patches"], ["pooled"], axes=[1], keepdims=0),
        helper.make_node("Identity", ["pooled"], ["again"]),
    ]
    shapes = {"map": (1, D, None, None), "tokens": (1, None, D), "pooled": (1, D), "again": (1, D)}
    ends = [value(name, TensorProto.FLOAT, shapes[name]) for name in outputs]
    weights = {"kernel": KERNEL, "class": CLASS, "flat": np.array([1, D, -1], np.int64)}
    onnx.save(model(nodes, [value("image", kind, shape)], ends, weights), path)
    return path


def expected(pixels, mean=TORCH[0], std=TORCH[1]):
    """Returns the patches (P, 16, D), row by row."""
    scaled = (pixels / 255 - mean) / std
    cells = scaled.reshape(len(pixels), 4, 4, 4, 4, 3)
    return np.einsum("prycxk,dkyx->prcd", cells, KERNEL.astype(float)).reshape(len(pixels), 16, D)


def config(path, **more):
    return EncoderConfig(**{"type": "onnx", "weights": str(path), "preprocess": "torch", **more})


@pytest.mark.parametrize("shape", [(1, 3, 16, 16), ("batch", 16, 16, 3), (None, 3, "h", "w")])
@pytest.mark.parametrize("outputs", [("tokens", "pooled"), ("pooled", "map")])
def test_grid_and_pooled_features_by_shape(tmp_path, shape, outputs):
    path = write(tmp_path / "vit.onnx", shape, outputs)
    size = {} if 16 in shape else {"image_size": 16}
    if "map" in outputs and shape[3] == 3:
        pytest.skip("a map (1, D, rows, columns) comes from (1, 3, H, W)")
    grid = build_encoder(config(path, output="grid", **size))
    assert grid.feature_shape == (16, D) and grid.grid == (4, 4) and tuple(grid.image_size) == (16, 16)
    np.testing.assert_allclose(grid.encode(PIXELS), expected(PIXELS), atol=1e-4)
    pooled = build_encoder(config(path, **size))
    np.testing.assert_allclose(pooled.encode(PIXELS), expected(PIXELS).mean(axis=1), atol=1e-4)


def test_a_run_keeps_the_file(tmp_path):
    path = write(tmp_path / "vit.onnx")
    settings = config(path, output="grid", layer="tokens")
    save_encoder(build_encoder(settings), tmp_path / "run")
    path.unlink()
    again = load_encoder(settings, tmp_path / "run")
    np.testing.assert_allclose(again.encode(PIXELS), expected(PIXELS), atol=1e-4)
    with pytest.raises(CheckpointError, match="preprocess"):
        load_encoder(config(path, output="grid", layer="tokens", preprocess="tf"), tmp_path / "run")


def test_clip_also_cuts_the_images(tmp_path):
    encoder = build_encoder(config(write(tmp_path / "clip.onnx"), preprocess="clip"))
    assert encoder.image_size.framing == Resize("bicubic", 16)
    mean = np.array([0.48145466, 0.4578275, 0.40821073])
    std = np.array([0.26862954, 0.26130258, 0.27577711])
    np.testing.assert_allclose(encoder.encode(PIXELS), expected(PIXELS, mean, std).mean(axis=1), atol=1e-4)


def test_whole_numbers_are_fed_as_such(tmp_path):
    path = write(tmp_path / "bytes.onnx", kind=TensorProto.UINT8)
    encoder = build_encoder(config(path, preprocess="none"))
    np.testing.assert_allclose(encoder.encode(PIXELS), expected(PIXELS, 0, 1 / 255).mean(axis=1), rtol=1e-4, atol=0.01)
    with pytest.raises(FeatureError, match="preprocess: none"):
        build_encoder(config(path))


@pytest.mark.parametrize(
    ("made", "settings", "named"),
    [
        ({"outputs": ("pooled", "again")}, {}, "encoder.layer"),
        ({"outputs": ("pooled",)}, {"output": "grid"}, "pooled"),
        ({}, {"layer": "other"}, "'other'"),
        ({}, {"image_size": 24}, "image_size"),
        ({"shape": (1, 3, "h", "w")}, {}, "image_size"),
        ({"shape": (2, 3, 16, 16)}, {}, "single images"),
        ({"kind": TensorProto.INT64}, {}, "int64"),
    ],
)
def test_files_that_do_not_fit_are_one_line(tmp_path, made, settings, named):
    path = write(tmp_path / "vit.onnx", **made)
    with pytest.raises(FeatureError, match=named) as error:
        build_encoder(config(path, **settings))
    assert "\n" not in str(error.value) and "vit.onnx" in str(error.value)
