"""Encoders of others: presets of keras-hub that are missing, damaged or of another kind, and foreign ONNX files."""

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from tests.mistakes import Workshop, mistake

NAME = "clip_vit_base_patch32"
VIT = {"image_shape": [32, 32, 3], "patch_size": 8, "num_layers": 1, "num_heads": 2, "hidden_dim": 8, "mlp_dim": 8}


def _extract(shop: Workshop, **encoder: object) -> list[str]:
    return [
        "extract",
        "--config",
        shop.config(encoder={"type": "hub", "weights": "none", "image_size": None} | encoder),
    ]


def _preset(shop: Workshop, config: object, **files: str) -> Path:
    """Writes a folder like that of a preset."""
    shop.write("preset/config.json", config if isinstance(config, str) else json.dumps(config))
    for name, content in ({"model.weights.h5": "weights" * 99} | files).items():
        shop.write(f"preset/{name}", content)
    return shop / "preset"


@contextlib.contextmanager
def without_network(_: Workshop) -> Iterator[None]:
    """keras-hub that knows one preset, and no network."""

    def model_download(*args: Any) -> str:
        raise ConnectionError("HTTPSConnectionPool: Max retries exceeded\nwith url: /v1/models")

    handles = "capsmith.vision.hub.presets.preset_handles"
    kagglehub = SimpleNamespace(model_download=model_download)
    known = {NAME: f"kaggle://keras/clip/keras/{NAME}/3"}
    with mock.patch(handles, return_value=known), mock.patch.dict(sys.modules, {"kagglehub": kagglehub}):
        yield


@contextlib.contextmanager
def without_keras_hub(_: Workshop) -> Iterator[None]:
    """An installation without the extra."""
    with mock.patch.dict(sys.modules, {"keras_hub": None}):
        yield


@mistake("hub: no network", "encoder.preset", NAME, "docs/hub_encoders.md", around=without_network)
def _(shop: Workshop) -> list[str]:
    return _extract(shop, preset=NAME)


@mistake("hub: a misspelt preset", "encoder.preset", "clip_vit_base_patch23", NAME, around=without_network)
def _(shop: Workshop) -> list[str]:
    return _extract(shop, preset="clip_vit_base_patch23")


@mistake("hub: a missing extra", "encoder.preset", "capsmith[hub]", around=without_keras_hub)
def _(shop: Workshop) -> list[str]:
    return _extract(shop, preset=NAME)


@mistake("hub: no preset", "encoder", "preset")
def _(shop: Workshop) -> list[str]:
    return _extract(shop)


@mistake("hub: a preset of another type", "preset", "small_cnn")
def _(shop: Workshop) -> list[str]:
    return _extract(shop, type="small_cnn", preset=NAME)


@mistake("hub: weights beside the preset", "weights", "preset")
def _(shop: Workshop) -> list[str]:
    return _extract(shop, preset=NAME, weights="clip.weights.h5")


@mistake("hub: another preprocessing", "preprocess")
def _(shop: Workshop) -> list[str]:
    return _extract(shop, preset=NAME, preprocess="torch")


@mistake("hub: trained", "trainable")
def _(shop: Workshop) -> list[str]:
    return _extract(shop, preset=NAME, trainable=True)


@mistake("hub: a missing folder", "encoder.preset", "gone")
def _(shop: Workshop) -> list[str]:
    return _extract(shop, preset=str(shop / "gone"))


@mistake("hub: a run without such an encoder", "encoder.json", "hub")
def _(shop: Workshop) -> list[str]:
    return _extract(shop, preset=str(shop.toy.run))


@mistake("hub: an empty folder", "preset", "config.json")
def _(shop: Workshop) -> list[str]:
    (shop / "preset").mkdir()
    return _extract(shop, preset=str(shop / "preset"))


@mistake("hub: a text model", "preset", "GPT2Backbone", "CLIPBackbone")
def _(shop: Workshop) -> list[str]:
    return _extract(shop, preset=str(_preset(shop, {"class_name": "GPT2Backbone", "config": {}})))


@mistake("hub: a folder of Hugging Face", "preset", "Hugging Face")
def _(shop: Workshop) -> list[str]:
    return _extract(shop, preset=str(_preset(shop, {"model_type": "clip", "architectures": ["CLIPModel"]})))


@mistake("hub: a preset without weights", "preset", "model.weights.h5")
def _(shop: Workshop) -> list[str]:
    folder = _preset(shop, {"class_name": "ViTBackbone", "config": VIT})
    (folder / "model.weights.h5").unlink()
    return _extract(shop, preset=str(folder))


@mistake("hub: weights that are text", "model.weights.h5", "damaged")
def _(shop: Workshop) -> list[str]:
    return _extract(shop, preset=str(_preset(shop, {"class_name": "ViTBackbone", "config": VIT})))


@mistake("hub: a size of a fixed preset", "encoder.image_size", "32")
def _(shop: Workshop) -> list[str]:
    folder = _preset(shop, {"class_name": "ViTBackbone", "config": VIT})
    return _extract(shop, preset=str(folder), image_size=48)


@mistake("hub: a config that is no JSON", "config.json")
def _(shop: Workshop) -> list[str]:
    return _extract(shop, preset=str(_preset(shop, "{")))


@mistake("hub: an image converter that pads", "image_converter.json", "pad_to_aspect_ratio")
def _(shop: Workshop) -> list[str]:
    converter = json.dumps({"config": {"pad_to_aspect_ratio": True, "crop_to_aspect_ratio": False}})
    files = {"image_converter.json": converter}
    return _extract(shop, preset=str(_preset(shop, {"class_name": "ViTBackbone", "config": VIT}, **files)))


def _onnx(shop: Workshop, path: Path, **encoder: object) -> list[str]:
    return _extract(shop, type="onnx", weights=str(path), **encoder)


@mistake("onnx: a file of another program that is text", "mine.onnx")
def _(shop: Workshop) -> list[str]:
    return _onnx(shop, shop.write("mine.onnx", "weights" * 99), preprocess="torch")


@mistake("onnx: a file of another program that is missing", "mine.onnx")
def _(shop: Workshop) -> list[str]:
    return _onnx(shop, shop / "mine.onnx", preprocess="torch")


@mistake("onnx: an unknown preprocessing", "encoder.preprocess", "'torhc'", "torch")
def _(shop: Workshop) -> list[str]:
    return _onnx(shop, shop / "mine.onnx", preprocess="torhc")


@mistake("onnx: a size without preprocessing", "image_size", "preprocess")
def _(shop: Workshop) -> list[str]:
    return _onnx(shop, shop / "mine.onnx", image_size=224)
