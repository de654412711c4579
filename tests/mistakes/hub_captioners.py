"""Captioners of transformers and keras-hub whose package, folder or preset is missing, or is another."""

import contextlib
import importlib.util
import json
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

from tests.mistakes import Workshop, mistake

NAME, DOCS = "pali_gemma_3b_mix_224", "docs/other_captioners.md"


def _caption(shop: Workshop, model: str) -> list[str]:
    return ["caption", model, str(shop.toy.data / "images" / "red_ball.png")]


@contextlib.contextmanager
def _without_network(_: Workshop) -> Iterator[None]:
    """keras-hub that knows one preset, and no network."""

    def model_download(*_: Any) -> str:
        raise ConnectionError("HTTPSConnectionPool: Max retries exceeded\nwith url: /v1/models")

    handles = "capsmith.vision.hub.presets.preset_handles"
    kagglehub = SimpleNamespace(model_download=model_download)
    known = {NAME: f"kaggle://keras/paligemma/keras/{NAME}/4"}
    with mock.patch(handles, return_value=known), mock.patch.dict(sys.modules, {"kagglehub": kagglehub}):
        yield


@contextlib.contextmanager
def _without_keras_hub(_: Workshop) -> Iterator[None]:
    """An installation without the extra."""
    with mock.patch.dict(sys.modules, {"keras_hub": None}):
        yield


@contextlib.contextmanager
def _without_transformers(_: Workshop) -> Iterator[None]:
    """An installation without the extra."""
    found = importlib.util.find_spec
    hidden = {"transformers", "torch"}
    with mock.patch("importlib.util.find_spec", lambda name, *rest: None if name in hidden else found(name, *rest)):
        yield


@mistake("blip: a missing extra", "capsmith[blip]", around=_without_transformers)
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "blip:Salesforce/blip-image-captioning-base")


@mistake("hub: a missing extra for a captioner", "capsmith[hub]", around=_without_keras_hub)
def _(shop: Workshop) -> list[str]:
    return _caption(shop, f"hub:{NAME}")


@mistake("hub: a captioner without network", NAME, DOCS, around=_without_network)
def _(shop: Workshop) -> list[str]:
    return _caption(shop, f"hub:{NAME}")


@mistake("hub: a misspelt captioner", "pali_gemma_3b_mix_242", NAME, around=_without_network)
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "hub:pali_gemma_3b_mix_242")


@mistake("hub: a captioner without a name", "hub:")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "hub:")


@mistake("hub: a captioner's folder that does not exist", "gone")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, f"hub:{shop / 'gone'}")


@mistake("hub: a folder without a config", "config.json")
def _(shop: Workshop) -> list[str]:
    shop.write("model/model.weights.h5", "weights")
    return _caption(shop, f"hub:{shop / 'model'}")


@mistake("hub: an encoder that cannot caption", "ViTBackbone", "PaliGemmaBackbone")
def _(shop: Workshop) -> list[str]:
    shop.write("model/config.json", json.dumps({"class_name": "ViTBackbone", "config": {}}))
    return _caption(shop, f"hub:{shop / 'model'}")


@mistake("hub: a captioner of Hugging Face", "Hugging Face", DOCS)
def _(shop: Workshop) -> list[str]:
    shop.write("model/config.json", json.dumps({"model_type": "paligemma"}))
    return _caption(shop, f"hub:{shop / 'model'}")
