"""The captioner that comes with capsmith, its encoder in configs, and trainings that begin with an export."""

import contextlib
import json
from collections.abc import Iterator
from unittest import mock

from capsmith.core import starter
from tests.mistakes import Workshop, mistake
from tests.mistakes.broken_images import jpeg
from tests.support.exports import write_export

ANY = [{"path": "a", "shape": [1], "axis": 0, "parts": [{"graph": "step", "name": "no such", "transposed": False}]}]


@contextlib.contextmanager
def shipped(shop: Workshop) -> Iterator[None]:
    """Makes the folder ``shipped`` the starter; without it there is none."""
    with mock.patch.object(starter, "STARTER_DATA", shop / "shipped"):
        yield


def _export(shop: Workshop, name: str = "shipped", **changes: object) -> str:
    return str(write_export(shop / name, config=json.loads(json.dumps(shop.sections)), **changes))


def _image(shop: Workshop) -> str:
    return str(shop.write("photo.jpg", jpeg(60)))


def _train(shop: Workshop, **training: object) -> list[str]:
    return ["train", "--config", shop.config(training=dict(training)), "--run", str(shop / "new")]


@mistake("an image without a run, where there is no starter", "starter", "not in this installation", around=shipped)
def _(shop: Workshop) -> list[str]:
    return ["caption", _image(shop)]


@mistake("the starter by name, where there is none", "starter", "not in this installation", around=shipped)
def _(shop: Workshop) -> list[str]:
    return ["show", "starter"]


@mistake("a run that is not there, before an image", "runs/mien", around=shipped)
def _(shop: Workshop) -> list[str]:
    _export(shop)
    return ["caption", "runs/mien", _image(shop)]


@mistake("a run without its config, before an image", "broken", around=shipped)
def _(shop: Workshop) -> list[str]:
    _export(shop)
    (shop.run("broken") / "config.yaml").unlink()
    return ["caption", str(shop / "broken"), _image(shop)]


@mistake("an export without its manifest, before an image", "broken", around=shipped)
def _(shop: Workshop) -> list[str]:
    _export(shop)
    _export(shop, "broken")
    (shop / "broken" / "manifest.json").unlink()
    return ["caption", str(shop / "broken"), _image(shop)]


@mistake("only the name of the starter", "no image", "starter", around=shipped)
def _(shop: Workshop) -> list[str]:
    _export(shop)
    return ["caption", "starter"]


@mistake("the starter after the images", "starter", "before the images", around=shipped)
def _(shop: Workshop) -> list[str]:
    _export(shop)
    return ["caption", _image(shop), "starter"]


@mistake("a starter whose step was exchanged", "step.onnx", "SHA-256", around=shipped)
def _(shop: Workshop) -> list[str]:
    _export(shop)
    path = shop / "shipped" / "step.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    return ["caption", _image(shop)]


@mistake("an option that is not there, between images", "--jsno", around=shipped)
def _(shop: Workshop) -> list[str]:
    _export(shop)
    return ["caption", _image(shop), "--jsno", _image(shop)]


@mistake("an encoder of an export, in training", "encoder", "trainable")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", shop.config(encoder={"type": "onnx", "weights": "a.onnx", "trainable": True})]


@mistake("an encoder of an export without a file", "encoder", "PATH.onnx")
def _(shop: Workshop) -> list[str]:
    shop.sections["encoder"] = {"type": "onnx"}
    return ["validate", "--config", shop.config()]


@mistake("the starter's encoder, where there is none", "encoder.weights", "starter", around=shipped)
def _(shop: Workshop) -> list[str]:
    shop.sections["encoder"] = {"type": "onnx", "weights": "starter"}
    return ["validate", "--config", shop.config()]


@mistake("a file that is no ONNX model as the encoder", "encoder.weights", "fake.onnx")
def _(shop: Workshop) -> list[str]:
    shop.sections["encoder"] = {"type": "onnx", "weights": str(shop.write("fake.onnx", b"#!/bin/sh"))}
    return _train(shop)


@mistake("a decoder as the encoder", "encoder.weights", "step.onnx")
def _(shop: Workshop) -> list[str]:
    shop.sections["encoder"] = {"type": "onnx", "weights": f"{_export(shop)}/step.onnx"}
    return _train(shop)


@mistake("pooled features of an encoder as a grid", "encoder.onnx", "output: pooled")
def _(shop: Workshop) -> list[str]:
    shop.sections["encoder"] = {"type": "onnx", "weights": f"{_export(shop)}/encoder.onnx", "output": "grid"}
    return _train(shop)


@mistake(
    "the starter to begin with, where there is none",
    "training.transfer_from",
    "not in this installation",
    around=shipped,
)
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", shop.config(training={"transfer_from": "starter"})]


@mistake("an ensemble to begin with", "training.transfer_from", "2 models")
def _(shop: Workshop) -> list[str]:
    return _train(shop, transfer_from=_export(shop, seeds=(0, 1)))


@mistake("an export that does not say where its weights are", "training.transfer_from", "weights")
def _(shop: Workshop) -> list[str]:
    return _train(shop, transfer_from=_export(shop))


@mistake("an export whose weights are elsewhere", "training.transfer_from", "list of weights", "no such")
def _(shop: Workshop) -> list[str]:
    folder = _export(shop)
    path = shop / "shipped" / "manifest.json"
    content = json.loads(path.read_text())
    content["members"][0]["weights"] = ANY
    path.write_text(json.dumps(content))
    return _train(shop, transfer_from=folder)
