"""Folders that are no BLIP captioner, incomplete or damaged, and names that cannot be had: one line each."""

import json
import os
import shutil
import socket
import struct
from importlib.util import find_spec
from pathlib import Path

import pytest

from capsmith.core.errors import CapsmithError, CheckpointError, ConfigError, MissingExtraError
from capsmith.models.external.blip import load_blip

INSTALLED = bool(find_spec("transformers") and find_spec("torch"))
needs_torch = pytest.mark.skipif(not INSTALLED, reason="needs transformers and torch")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.support.toy_blip import make_blip

    return make_blip(tmp_path_factory.mktemp("blip") / "good")


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "model"))


def change(path: Path, *keys: str, to: object) -> None:
    values = json.loads(path.read_text())
    inner = values
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = to
    path.write_text(json.dumps(values))


def config(*keys: str, to: object):
    return lambda folder: change(folder / "config.json", *keys, to=to)


def processor(*keys: str, to: object):
    return lambda folder: change(folder / "processor_config.json", "image_processor", *keys, to=to)


def cut(name: str, keep: float):
    def damage(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(len(data) * keep)])

    return damage


def write(name: str, data: bytes):
    return lambda folder: (folder / name).write_bytes(data)


def only_pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def without_tensor(folder: Path) -> None:
    from safetensors.numpy import load_file, save_file

    path = folder / "model.safetensors"
    tensors = load_file(path)
    del tensors["text_decoder.bert.encoder.layer.1.attention.self.query.bias"]
    save_file(tensors, path, {"format": "pt"})


def other_shape(folder: Path) -> None:
    import numpy as np
    from safetensors.numpy import load_file, save_file

    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors["vision_model.post_layernorm.weight"] = np.ones(7, np.float32)
    save_file(tensors, path, {"format": "pt"})


def shards(names: object):
    def damage(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))

    return damage


def in_text(name: str, to: object):
    return config("text_config", name, to=to)


def in_vision(name: str, to: object):
    return config("vision_config", name, to=to)


BAD = {
    "no config": lambda folder: (folder / "config.json").unlink(),
    "config is no JSON": write("config.json", b"{"),
    "config is a list": write("config.json", b"[1]"),
    "config is nested deeply": write("config.json", b"[" * 5000),
    "another model": config("model_type", to="vit"),
    "BLIP-2": config("model_type", to="blip-2"),
    "no kind": config("model_type", to=None),
    "kind with control characters": config("model_type", to="\x1b[2Jx\n"),
    "question answering": config("architectures", to=["BlipForQuestionAnswering"]),
    "retrieval": config("architectures", to=["BlipForImageTextRetrieval"]),
    "many layers": in_text("num_hidden_layers", 10**9),
    "more layers than weights": in_text("num_hidden_layers", 900),
    "negative size": in_text("hidden_size", -24),
    "heads that do not divide": in_vision("num_attention_heads", 5),
    "huge vocabulary": in_text("vocab_size", 2**23),
    "vocabulary smaller than the tokenizer's": in_text("vocab_size", 12),
    "start token outside the vocabulary": in_text("bos_token_id", 10**6),
    "patches larger than the image": in_vision("patch_size", 64),
    "huge images": in_vision("image_size", 10**7),
    "images of another size": in_vision("image_size", 64),
    "unknown activation": in_text("hidden_act", "eval"),
    "text sizes are a string": config("text_config", to="x"),
    "weights missing": lambda folder: (folder / "model.safetensors").unlink(),
    "pickles only": only_pickle,
    "truncated weights": cut("model.safetensors", 0.7),
    "truncated header": cut("model.safetensors", 0.01),
    "empty weights": write("model.safetensors", b""),
    "weights are a pickle": write("model.safetensors", b"\x80\x04cos\nsystem\n"),
    "header of exabytes": write("model.safetensors", struct.pack("<Q", 2**62) + b"{}"),
    "a tensor is missing": without_tensor,
    "a tensor of another shape": other_shape,
    "shards outside the folder": shards({"a": "../x.safetensors"}),
    "shards that are pickles": shards({"a": "pytorch_model.bin"}),
    "a shard is missing": shards({"a": "model-00001-of-00002.safetensors"}),
    "shards are numbers": shards({"a": 3}),
    "no shards": shards({}),
    "no tokenizer": lambda folder: [(folder / name).unlink() for name in ("tokenizer.json", "vocab.txt")],
    "tokenizer is no JSON": write("tokenizer.json", b"{"),
    "no processor": lambda folder: (folder / "processor_config.json").unlink(),
    "images are cropped": processor("do_center_crop", to=True),
    "an unknown filter": processor("resample", to=1),
    "a deviation of zero": processor("image_std", to=[0.0, 1.0, 1.0]),
    "two channels": processor("image_mean", to=[0.5, 0.5]),
    "processor of another size": processor("size", to={"height": 224, "width": 224}),
    "the shorter side is resized": processor("size", to={"shortest_edge": 32}),
}


@needs_torch
@pytest.mark.parametrize("name", BAD)
def test_a_bad_folder_is_one_line(folder, name):
    BAD[name](folder)
    with pytest.raises(CheckpointError) as caught:
        load_blip(str(folder))
    assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value)
    assert str(folder) in str(caught.value) and len(str(caught.value)) < 680


@needs_torch
def test_processors_of_other_versions_are_read(folder):
    """Fast processors of version 4 write null for what they do not use, and the size as one number was valid once."""
    values = json.loads((folder / "processor_config.json").read_text())["image_processor"]
    unused = dict.fromkeys(["crop_size", "data_format", "do_center_crop", "do_pad", "device", "pad_size"])
    (folder / "preprocessor_config.json").write_text(json.dumps({**values, **unused, "size": 32}))
    (folder / "processor_config.json").unlink()
    assert tuple(load_blip(str(folder)).image_sizes[0]) == (32, 32)


@needs_torch
def test_code_in_the_folder_is_not_run(folder, tmp_path):
    """auto_map names classes of the folder's own modules, which transformers imports if it is told to trust them."""
    trace = tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(trace)!r}, 'w')\nclass Config: pass\n")
    mapped = {"AutoConfig": "evil.Config", "AutoModel": "evil.Config", "AutoTokenizer": ["evil.Config", "evil.Config"]}
    for name in ("config.json", "tokenizer_config.json"):
        change(folder / name, "auto_map", to=mapped)
    load_blip(str(folder))
    assert not trace.exists()


@needs_torch
@pytest.mark.parametrize(
    "name", ["/nowhere", "./nowhere", "~/nowhere/x", "", "nowhere", "a/b/c", "a/../b", "x/y\n", "-x/y"]
)
def test_no_such_folder_or_name(name):
    with pytest.raises(ConfigError) as caught:
        load_blip(name)
    assert "\n" not in str(caught.value)


@needs_torch
def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"x")
    with pytest.raises(ConfigError):
        load_blip(str(tmp_path / "model.safetensors"))


@pytest.mark.skipif(INSTALLED, reason="transformers and torch are installed")
def test_a_missing_extra_is_one_line(tmp_path):
    with pytest.raises(MissingExtraError) as caught:
        load_blip(str(tmp_path))
    assert "capsmith[blip]" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.skipif(os.name == "nt", reason="resolves names with getaddrinfo")
@needs_torch
def test_without_network_it_says_so_at_once(monkeypatch):
    asked: list[object] = []

    def unreachable(*arguments: object, **_: object) -> None:
        asked.append(arguments[0])
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    monkeypatch.setattr("capsmith.models.external.hugging_face.getproxies", dict)
    with pytest.raises(CapsmithError) as caught:
        load_blip("Salesforce/blip-image-captioning-base")
    assert len(asked) == 1  # no retries
    assert "docs/other_captioners.md" in str(caught.value) and "\n" not in str(caught.value)
