"""Presets that are no captioner, incomplete, damaged or hostile, and names that cannot be had: one line each."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

if not (find_spec("keras_hub") and find_spec("tensorflow_text") and find_spec("sentencepiece")):
    pytest.skip("needs keras-hub, tensorflow-text and sentencepiece", allow_module_level=True)

from capsmith.core.errors import CapsmithError, CheckpointError, ConfigError
from capsmith.models.external.hub import load_hub
from tests.support.tiny_hub_captioners import SAVERS

LAMBDA = {"module": "keras.layers", "class_name": "Lambda", "config": {"function": "x"}, "registered_name": None}
EVIL = {"module": "os", "class_name": "system", "config": {"command": "id"}, "registered_name": None}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return SAVERS["paligemma"](tmp_path_factory.mktemp("hub") / "good")


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "preset"))


def change(name: str, *keys: str, to: object):
    def damage(folder: Path) -> None:
        values = json.loads((folder / name).read_text())
        inner = values
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = to
        (folder / name).write_text(json.dumps(values))

    return damage


def remove(name: str):
    return lambda folder: (folder / name).unlink()


def write(name: str, data: bytes):
    return lambda folder: (folder / name).write_bytes(data)


def cut(name: str):
    def damage(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])

    return damage


def sharded(weight_map: object):
    def damage(folder: Path) -> None:
        (folder / "model.weights.h5").unlink()
        (folder / "model.weights.json").write_text(json.dumps({"weight_map": weight_map}))

    return damage


BAD = {
    "no config": remove("config.json"),
    "no weights": remove("model.weights.h5"),
    "no tokenizer": remove("tokenizer.json"),
    "no vocabulary": remove("assets/tokenizer/vocabulary.spm"),
    "config is no JSON": write("config.json", b"{"),
    "config is a list": write("config.json", b"[]"),
    "task is no JSON": write("task.json", b"\xff"),
    "another model": change("config.json", "class_name", to="ViTBackbone"),
    "a model without images": change("config.json", "class_name", to="GemmaBackbone"),
    "a folder of Hugging Face": write("config.json", b'{"model_type": "paligemma"}'),
    "weights are cut": cut("model.weights.h5"),
    "weights are text": write("model.weights.h5", b"x"),
    "vocabulary is cut": cut("assets/tokenizer/vocabulary.spm"),
    "huge vocabulary": change("config.json", "config", "vocabulary_size", to=2**23),
    "huge number": change("config.json", "config", "num_layers", to=2**60),
    "more layers than weights": change("config.json", "config", "num_layers", to=100_000),
    "task of another size": change("task.json", "config", "backbone", "config", "hidden_dim", to=8),
    "no image size": change("config.json", "config", "image_size", to=None),
    "images of another size": change("image_converter.json", "config", "image_size", to=[32, 32]),
    "images are padded": change("image_converter.json", "config", "pad_to_aspect_ratio", to=True),
    "a lambda layer": change("task.json", "config", "backbone", to=LAMBDA),
    "a function of os": change("task.json", "config", "preprocessor", to=EVIL),
    "code in the config": change("config.json", "config", "dtype", to=EVIL),
    "code in the tokenizer": change("tokenizer.json", "config", "dtype", to=EVIL),
    "code in the converter": change("image_converter.json", "config", "dtype", to=EVIL),
    "code in the preprocessor": change("preprocessor.json", "config", "image_converter", to=LAMBDA),
    "a registered name of another class": change("task.json", "registered_name", to="keras_hub>Evil"),
    "a class name that is a list": change("config.json", "config", "dtype", to={"class_name": ["x"]}),
    "a module without a class": change("config.json", "config", "dtype", to={"module": "os"}),
    "vocabulary from elsewhere": change("tokenizer.json", "config", "proto", to="/etc/passwd"),
    "shards outside the folder": sharded({"a": "../model.weights.h5"}),
    "shards are numbers": sharded({"a": [1]}),
    "no shards": sharded(None),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_preset_is_one_line(folder, name):
    BAD[name](folder)
    with pytest.raises(CheckpointError) as caught:
        load_hub(str(folder))
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value)
    assert len(str(caught.value)) < 680


@pytest.mark.parametrize("name", ["", "/nowhere/x", "./nowhere", "clip_vit_base_patch32", "pali_gemma", "a\nb"])
def test_no_such_folder_or_preset(name):
    with pytest.raises(ConfigError) as caught:
        load_hub(name)
    assert "\n" not in str(caught.value)


def test_a_preset_that_cannot_be_downloaded_says_what_to_pass(monkeypatch):
    import kagglehub

    def refuse(*_: object, **__: object) -> str:
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr(kagglehub, "model_download", refuse)
    with pytest.raises(CapsmithError) as caught:
        load_hub("pali_gemma_3b_mix_224")
    assert "docs/other_captioners.md" in str(caught.value) and "\n" not in str(caught.value)
