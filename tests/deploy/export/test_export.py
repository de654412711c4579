"""Exports of a trained run: complete folders or nothing, compared with the run, never over foreign files."""

import dataclasses
import hashlib
import json
import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from capsmith import load_config
from capsmith.cli import main
from capsmith.core.errors import CapsmithError, CheckpointError, ConfigError, MissingExtraError, PluginError
from capsmith.core.files import write_text
from capsmith.decoding.onnx_stepper import OnnxStepper
from capsmith.deploy.export import export as export_module
from capsmith.deploy.export import formats
from capsmith.deploy.export.export import export
from capsmith.models.caption_model import build_model
from capsmith.models.captioner import Captioner
from capsmith.models.judge_copy import copy_judge
from capsmith.models.keras_member import KerasMember
from capsmith.models.run_config import run_config
from capsmith.retrieval.caption_index import CaptionIndex
from capsmith.vision.encoder import build_encoders
from tests.support import shapes, toy
from tests.support.captioners import VOCABULARY, built_captioner
from tests.support.tiny_embedding import write_embedding_run

SMALL = {"units": 16, "embedding": {"size": 8}, "attention_units": 8, "heads": 2}


@pytest.fixture(scope="module")
def run(tiny_run):
    return tiny_run.run


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    return export(run, tmp_path_factory.mktemp("made") / "out")


def manifest(folder):
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_folder_is_complete_and_its_hashes_are_true(exported):
    content = manifest(exported.folder)
    listed = content["files"]
    present = {path.relative_to(exported.folder).as_posix() for path in exported.folder.rglob("*") if path.is_file()}
    assert present == {*listed, "manifest.json", "README.md"}
    assert {"encoder.onnx", "start.onnx", "step.onnx", "vocabulary.json"} <= listed.keys()
    for name, entry in listed.items():
        data = (exported.folder / name).read_bytes()
        assert entry == {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def test_the_manifest_says_how_to_decode(exported, run):
    content, config = manifest(exported.folder), Captioner.load(run, encoder=False).config
    assert (content["format"], content["kind"], content["quantise"]) == (1, "onnx", None)
    assert content["decoding"] == config.decoding.model_dump(mode="json")
    assert content["text"] == config.text.model_dump(mode="json")
    (member,) = content["members"]
    assert member["folder"] == "." and member["encoders"][0]["image_size"] == [32, 32]
    assert member["store_float16"] == (len(member["feature_shape"]) == 2)


def test_captions_are_those_of_the_run(exported):
    assert exported.comparison.same == 1.0 and exported.comparison.score < 1e-3
    assert "dev images" in exported.comparison.source


@pytest.mark.parametrize("quantise", ["int8", "float16"])
def test_quantised_exports_are_smaller_and_say_so(run, tmp_path, quantise, exported):
    made = export(run, tmp_path / "out", quantise=quantise)
    assert manifest(made.folder)["quantise"] == quantise
    assert made.comparison.cosine > 0.99
    assert os.path.getsize(made.folder / "encoder.onnx") < 0.6 * os.path.getsize(exported.folder / "encoder.onnx")


def test_overrides_decide_the_decoding_of_the_export(run, tmp_path):
    made = export(run, tmp_path / "out", overrides=["decoding.beam_size=4"])
    assert manifest(made.folder)["decoding"]["beam_size"] == 4


def test_an_ensemble_has_a_folder_for_each_member(run, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(run, other)
    captioner = Captioner.load(other)
    for weight in captioner.model.weights:
        if "float" in str(weight.dtype):
            weight.assign(np.asarray(weight) * 1.1)
    captioner.members[0].save_weights(other)
    write_text(tmp_path / "both.yaml", f"members:\n- {run}\n- {other}\n")
    made = export(tmp_path / "both.yaml", tmp_path / "out")
    assert [member["folder"] for member in manifest(made.folder)["members"]] == ["member_1", "member_2"]
    assert (made.folder / "member_2" / "step.onnx").is_file() and made.comparison.same == 1.0


def test_an_earlier_export_is_replaced_and_the_default_name_says_the_format(run, tmp_path):
    copy = tmp_path / "mine"
    shutil.copytree(run, copy)
    first = export(copy)
    assert first.folder == tmp_path / "mine-onnx"
    second = export(copy, quantise="float16", out=first.folder)
    assert manifest(second.folder)["quantise"] == "float16"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "mine-onnx"]


@pytest.mark.parametrize("kind", ["foreign", "added", "run", "file"])
def test_foreign_files_are_never_replaced(run, tmp_path, kind, exported):
    out = tmp_path / "out"
    if kind == "foreign":
        out.mkdir()
        (out / "letter.txt").write_text("dear")
    elif kind == "added":
        shutil.copytree(exported.folder, out)
        (out / "notes.txt").write_text("mine")
    elif kind == "run":
        shutil.copytree(run, out)
    else:
        out.write_text("a file")
    before = tree(tmp_path)
    with pytest.raises(ConfigError, match="out"):
        export(run, out)
    assert tree(tmp_path) == before


def test_an_export_that_differs_leaves_nothing_behind(run, tmp_path, monkeypatch):
    monkeypatch.setattr(OnnxStepper, "step", _shifted(OnnxStepper.step))
    with pytest.raises(CheckpointError, match="same captions"):
        export(run, tmp_path / "below" / "out")
    assert not any(tmp_path.iterdir())


def _shifted(step):
    def wrong(self, tokens, parents, state):
        log_probs, after = step(self, tokens, parents, state)
        return np.roll(log_probs, 1, axis=1), after

    return wrong


def test_an_interruption_keeps_the_earlier_export(run, tmp_path, monkeypatch, exported):
    shutil.copytree(exported.folder, tmp_path / "out")
    before = tree(tmp_path)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(export_module, "write_card", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export(run, tmp_path / "out")
    assert tree(tmp_path) == before
    rename = os.rename
    monkeypatch.undo()
    monkeypatch.setattr(os, "rename", lambda a, b: interrupted() if str(a).endswith("/export") else rename(a, b))
    with pytest.raises(KeyboardInterrupt):
        export(run, tmp_path / "out")
    assert tree(tmp_path) == before


def test_without_the_dataset_drawn_scenes_are_compared(run, tmp_path, monkeypatch):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    made = export(copy, overrides=[f"data.root={tmp_path / 'gone'}"])
    assert "drawn" in made.comparison.source and made.comparison.images == 32


def test_a_missing_package_names_its_extra(run, tmp_path, monkeypatch):
    spec = formats.FORMATS["onnx"]
    monkeypatch.setitem(formats.FORMATS, "onnx", dataclasses.replace(spec, packages=(("no_such_package", "export"),)))
    with pytest.raises(MissingExtraError, match=r"capsmith\[export\]"):
        export(run, tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--format", "onx"], "onnx"),
        (["--quantise", "int4"], "int8"),
        (["--quantize", "int8", "--format", "savedmodel"], "savedmodel"),
        (["--images", "nowhere"], "nowhere"),
    ],
)
def test_mistakes_are_one_line_with_exit_code_2(run, tmp_path, capsys, arguments, named):
    assert main(["export", str(run), str(tmp_path / "out"), *arguments]) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert named in message and not (tmp_path / "out").exists()


def test_a_plugins_search_is_refused(run, monkeypatch):
    config = Captioner.load(run, encoder=False).config
    monkeypatch.setitem(export_module.DECODINGS.settings.modules, "beam", "a_plugin")
    with pytest.raises(PluginError, match="beam"):
        export_module.require_portable(config)


def test_another_backend_is_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr(export_module.keras.backend, "backend", lambda: "jax")
    with pytest.raises(CapsmithError, match="KERAS_BACKEND"):
        export(run, tmp_path / "out")


def test_several_encoders_have_a_file_each(tmp_path):
    joined = [{"type": "small_cnn", "weights": "none", "output": "grid", "image_size": side} for side in (48, 32)]
    config = load_config({**shapes.settings(), "encoder": joined, "decoder": {"type": "aoa", **SMALL}})
    encoder = build_encoders(config.encoders)
    model = build_model(config, VOCABULARY, encoder.feature_shape, encoder)
    Captioner([KerasMember(config, VOCABULARY, model, encoder.feature_shape, encoder)]).save(tmp_path / "run")
    made = export(tmp_path / "run", tmp_path / "out")
    (member,) = manifest(made.folder)["members"]
    assert [entry["file"] for entry in member["encoders"]] == ["encoder_1.onnx", "encoder_2.onnx"]
    assert [entry["image_size"] for entry in member["encoders"]] == [[48, 48], [32, 32]]
    assert made.comparison.same == 1.0


def test_a_reranker_takes_its_caption_index_along(run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    overrides = ["decoding.rerank={type: mbr, samples: 3, neighbours: 2}"]
    with pytest.raises(CheckpointError, match="caption_index"):
        export(copy, tmp_path / "out", overrides=overrides)
    captioner = Captioner.load(copy)

    class Features:
        def features(self, ids):
            return captioner.features([toy.image(*name.split()) for name in ids])

    names = [f"{colour} {shape}" for colour in ("red", "green") for shape in toy.SHAPES]
    captions = [[captioner.vocabulary.encode(["a", *name.split()])] for name in names]
    CaptionIndex.build(Features(), names, captions).save(copy)
    made = export(copy, tmp_path / "out", overrides=overrides)
    content = manifest(made.folder)
    assert content["decoding"]["rerank"]["type"] == "mbr" and "caption_index.npz" in content["files"]
    assert made.comparison.same == 1.0


def test_a_joint_embedding_goes_along_and_is_needed_no_more(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run")
    captioner = Captioner.load(copy)
    names = [f"{colour} {shape}" for colour in ("red", "green") for shape in toy.SHAPES]
    captions = [[captioner.vocabulary.encode(["a", *name.split()])] for name in names]
    pictures = [toy.image(*name.split()) for name in names]
    rows = dict(zip(names, captioner.features(pictures), strict=True))
    CaptionIndex.build(
        SimpleNamespace(features=lambda ids: np.stack([rows[name] for name in ids])), names, captions
    ).save(copy)
    embedding = write_embedding_run(tmp_path / "embedding", copy)
    overrides = [
        f"decoding.rerank={{type: mbr, samples: 3, neighbours: 2, embedding: {embedding}, embedding_weight: 40}}"
    ]
    with pytest.raises(CheckpointError, match="caption_judge"):
        export(copy, tmp_path / "out", overrides=overrides)
    copy_judge(run_config(copy, overrides), copy)
    made = export(copy, tmp_path / "out", overrides=overrides)
    expected = Captioner.load(copy, overrides=overrides).caption(pictures)
    shutil.rmtree(embedding)
    assert {"caption_judge.npz", "caption_judge.json"} <= manifest(made.folder)["files"].keys()
    found = Captioner.load(made.folder).caption(pictures)
    assert [one.text for one in found] == [one.text for one in expected]
    np.testing.assert_allclose([one.score for one in found], [one.score for one in expected], atol=1e-3)


def test_a_trained_encoder_is_not_rounded(tmp_path):
    captioner = built_captioner("attention", {"trainable": True})
    captioner.save(tmp_path / "run")
    made = export(tmp_path / "run", tmp_path / "out")
    assert manifest(made.folder)["members"][0]["store_float16"] is False and made.comparison.same == 1.0
