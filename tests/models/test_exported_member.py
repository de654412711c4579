"""A captioner of an export: like that of a run, without Keras."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from capsmith import Captioner
from capsmith.core.errors import CheckpointError, ConfigError
from capsmith.decoding.search import search
from capsmith.models.ensemble_run import find_runs, is_model
from capsmith.vision.images import load_image
from tests.support import toy
from tests.support.exports import SIDE, WORDS, Reference, read_manifest, write_export

HEAVY = ("keras", "tensorflow", "jax", "torch")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return toy.make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def export(tmp_path_factory, data):
    config = toy.config_of(data.parent, data={"root": str(data)}).model_dump(mode="json")
    return write_export(tmp_path_factory.mktemp("export") / "toy", config=config)


@pytest.fixture(scope="module")
def images(data):
    return sorted((data / "images").glob("*.png"))


def test_captions_are_those_of_the_search_in_numpy(export, images):
    captioner = Captioner.load(export)
    found = captioner.caption(images)
    reference = Reference()
    features = reference.encode(np.stack([load_image(path, (SIDE, SIDE)) for path in images]))
    expected = search(reference, features, captioner.config.decoding)
    assert [caption.words for caption in found] == [tuple(WORDS.decode(h[0].tokens)) for h in expected]
    np.testing.assert_allclose([c.score for c in found], [h[0].score for h in expected], atol=1e-4)
    np.testing.assert_allclose(captioner.features(images), features, rtol=1e-3, atol=1e-4)
    assert captioner.caption_features(captioner.features(images))[0].text == found[0].text


def test_an_export_is_a_model(export, images):
    runs = find_runs(export)
    assert is_model(export) and runs.runs == (export,) and not runs.needs_keras
    assert runs.report.parent == export.parent
    assert Captioner.load(export, overrides=["decoding.beam_size=2"]).config.decoding.beam_size == 2
    assert len(Captioner.load(export).caption(images[0], beam_size=2).alternatives) <= 1
    with pytest.raises(ConfigError, match="trained with"):
        Captioner.load(export, overrides=["decoder.units=8"])


def test_several_exports_and_members_form_an_ensemble(export, tmp_path, images):
    config = read_manifest(export)["config"]
    other = write_export(tmp_path / "other", seeds=(1,), config=config)
    both = write_export(tmp_path / "both", seeds=(0, 1), config=config)
    joint, joined = Captioner.load([export, other]), Captioner.load(both)
    assert len(joint.members) == len(joined.members) == 2
    assert [str(c) for c in joint.caption(images)] == [str(c) for c in joined.caption(images)]
    assert [str(c) for c in joint.caption(images)] != [str(c) for c in Captioner.load(export).caption(images)]


def test_what_an_export_cannot_do_is_an_error(export, images, tmp_path):
    captioner = Captioner.load(export)
    for attempt in (
        lambda: captioner.save(tmp_path / "run"),
        lambda: captioner.model,
        lambda: Captioner.load([export, export], average=True),
        lambda: Captioner.load(export, average=True),
    ):
        with pytest.raises(ConfigError, match="export"):
            attempt()
    assert "step.onnx" in captioner.summary()
    with pytest.raises(CheckpointError, match="caption index"):
        captioner.caption(images[0], rerank={"type": "mbr"})
    with pytest.raises(CheckpointError, match="without its encoder"):
        Captioner.load(export, encoder=False).caption(images[0])


def test_a_tampered_export_is_refused(export, tmp_path):
    folder = shutil.copytree(export, tmp_path / "toy")
    (folder / "step.onnx").write_bytes((folder / "start.onnx").read_bytes())
    with pytest.raises(CheckpointError, match=r"step\.onnx"):
        Captioner.load(folder)


def test_a_config_of_something_else_is_refused(export, tmp_path):
    folder = shutil.copytree(export, tmp_path / "toy")
    content = read_manifest(folder)
    for change in ({"config": {}}, {"decoding": {"type": "beam", "beam_size": -1}}, {"text": {"mode": "no"}}):
        (folder / "manifest.json").write_text(json.dumps(content | change))
        with pytest.raises(CheckpointError) as caught:
            Captioner.load(folder)
        assert "\n" not in str(caught.value)


def run_alone(script):
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_neither_captions_nor_evaluation_import_keras(export, images, tmp_path):
    folder = shutil.copytree(export, tmp_path / "toy")
    script = f"""
import sys
from capsmith.cli import main
assert main(["caption", {str(folder)!r}, {str(images[0])!r}]) == 0
main(["evaluate", {str(folder)!r}, "--split", "dev"])
loaded = {{name.split(".")[0] for name in sys.modules}}
assert not loaded & set({HEAVY!r}), loaded & set({HEAVY!r})
"""
    assert str(Captioner.load(export).caption(images[0])) in run_alone(script)
    assert (tmp_path / "toy-report" / "dev" / "scores.json").is_file()
    assert {path.name for path in folder.iterdir()} == {path.name for path in export.iterdir()}


def test_evaluation_captions_what_the_captioner_captions(export, data, tmp_path):
    from capsmith.evaluation.kinds import evaluate

    result = evaluate(export, "test", out=tmp_path / "report")
    captioner = Captioner.load(export)
    paths = {path.stem: path for path in (data / "images").glob("yellow*")}
    for image, caption in result.captions.items():
        assert caption.text == captioner.caption(paths[image.removesuffix(".png")]).text
    assert len(result.captions) == 3
