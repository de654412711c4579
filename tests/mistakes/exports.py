"""Exports that are tampered with, truncated, or something else; nothing of them is opened or executed."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.mistakes import Workshop, mistake
from tests.mistakes.broken_images import jpeg
from tests.support.exports import Reference, graphs, read_manifest, write_export, write_manifest


def _command(shop: Workshop, change: Callable[[Path], object] = lambda folder: None, *options: str) -> list[str]:
    """Writes an export and changes it; returns the command that captions an image with it."""
    folder = write_export(shop / "mine")
    change(folder)
    shop.write("photo.jpg", jpeg(64))
    return ["caption", str(folder), str(shop / "photo.jpg"), *options]


def _manifest(shop: Workshop, **changes: Any) -> list[str]:
    return _command(shop, lambda folder: write_manifest(folder, read_manifest(folder) | changes))


def _member(shop: Workshop, **changes: Any) -> list[str]:
    def change(folder: Path) -> None:
        content = read_manifest(folder)
        content["members"][0] |= changes
        write_manifest(folder, content)

    return _command(shop, change)


def _graph(shop: Workshop, name: str, change: Callable[[Any], object]) -> list[str]:
    """Changes a graph of an export whose manifest has the new hash."""

    def replace(folder: Path) -> None:
        model = graphs(Reference())[name]
        change(model)
        (folder / name).write_bytes(model.SerializeToString())
        write_manifest(folder, read_manifest(folder) | {"files": {}})

    return _command(shop, replace)


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


@mistake("an export with one changed bit", "step.onnx", "SHA-256")
def _(shop: Workshop) -> list[str]:
    return _command(shop, lambda folder: _flip(folder / "step.onnx"))


@mistake("an export with a changed vocabulary", "vocabulary.json")
def _(shop: Workshop) -> list[str]:
    return _command(shop, lambda folder: _flip(folder / "vocabulary.json"))


@mistake("an export that was copied in part", "encoder.onnx")
def _(shop: Workshop) -> list[str]:
    return _command(shop, lambda folder: os.truncate(folder / "encoder.onnx", 100))


@mistake("an export without its decoder", "start.onnx")
def _(shop: Workshop) -> list[str]:
    return _command(shop, lambda folder: (folder / "start.onnx").unlink())


@mistake("an export whose file is a link to outside", "step.onnx", "outside")
def _(shop: Workshop) -> list[str]:
    def change(folder: Path) -> None:
        (folder / "step.onnx").rename(shop / "step.onnx")
        (folder / "step.onnx").symlink_to(shop / "step.onnx")

    return _command(shop, change)


@mistake("an export of a later version", "manifest.json", "upgrade")
def _(shop: Workshop) -> list[str]:
    return _manifest(shop, format=2)


@mistake("an export in a format that is only written", "litert")
def _(shop: Workshop) -> list[str]:
    return _manifest(shop, kind="litert")


@mistake("an export without models", "members")
def _(shop: Workshop) -> list[str]:
    return _manifest(shop, members=[])


@mistake("an export whose search is a plugin's", "decoding", "mine")
def _(shop: Workshop) -> list[str]:
    return _manifest(shop, decoding={"type": "mine"})


@mistake("an export whose search is too large", "beam_size")
def _(shop: Workshop) -> list[str]:
    return _manifest(shop, decoding={"type": "beam", "beam_size": 10**9})


@mistake("an export whose text settings are unknown", "text", "mode")
def _(shop: Workshop) -> list[str]:
    return _manifest(shop, text={"mode": "telepathy"})


@mistake("an export whose file lies outside", "inside")
def _(shop: Workshop) -> list[str]:
    return _member(shop, step="../step.onnx")


@mistake("an export whose folder is absolute", "inside")
def _(shop: Workshop) -> list[str]:
    return _member(shop, folder="/etc")


@mistake("an export with features of no size", "feature_shape")
def _(shop: Workshop) -> list[str]:
    return _member(shop, feature_shape=[0])


@mistake("an export with more static than other state", "n_static")
def _(shop: Workshop) -> list[str]:
    return _member(shop, n_static=9)


@mistake("an export with another number of state arrays", "start.onnx", "state_2")
def _(shop: Workshop) -> list[str]:
    return _member(shop, state=3)


@mistake("an export whose step has operators of somebody else", "step.onnx", "evil.example")
def _(shop: Workshop) -> list[str]:
    return _graph(shop, "step.onnx", lambda model: setattr(model.graph.node[0], "domain", "evil.example"))


@mistake("an export whose step has an unknown operator", "step.onnx")
def _(shop: Workshop) -> list[str]:
    return _graph(shop, "step.onnx", lambda model: setattr(model.graph.node[0], "op_type", "System"))


@mistake("an export whose weights lie in another file", "encoder.onnx", "another file")
def _(shop: Workshop) -> list[str]:
    def change(model: Any) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = 1
        tensor.external_data.add(key="location", value="/etc/passwd")

    return _graph(shop, "encoder.onnx", change)


@mistake("an export whose encoder is a pickle", "encoder.onnx")
def _(shop: Workshop) -> list[str]:
    def change(folder: Path) -> None:
        (folder / "encoder.onnx").write_bytes(b"\x80\x04cos\nsystem\n(S'touch pwned'\ntR.")
        write_manifest(folder, read_manifest(folder) | {"files": {}})

    return _command(shop, change)


@mistake("attention maps of an export", "export", "attention")
def _(shop: Workshop) -> list[str]:
    folder = write_export(shop / "mine", config=yaml.safe_load((shop.toy.run / "config.yaml").read_text()))
    shop.write("photo.jpg", jpeg(64))
    return ["caption", str(folder), str(shop / "photo.jpg"), "--attention", str(shop / "out.png")]


@mistake("more captions than an export may return", "decoding.n")
def _(shop: Workshop) -> list[str]:
    return _command(shop, lambda folder: None, "--n", "100000")


@mistake("an export with a manifest that is a list", "mine")
def _(shop: Workshop) -> list[str]:
    return _command(shop, lambda folder: (folder / "manifest.json").write_text("[]"))
