"""Captions from an export where only onnxruntime, NumPy and Pillow are installed: those of ``capsmith.Captioner``."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from capsmith import Captioner as FullCaptioner
from capsmith.core.errors import CapsmithError, CheckpointError, ConfigError, FeatureError, ImageError
from capsmith.deploy.runtime import Captioner
from capsmith.models.training_domain import TrainingDomain
from capsmith.retrieval.caption_index import CaptionIndex
from capsmith.retrieval.judge_file import StoredJudge
from tests.support import toy
from tests.support.exports import SIDE, WORDS, D, V, read_manifest, write_export, write_manifest
from tests.support.tiny_embedding import tiny_embedding

ABSENT = ("pydantic", "pydantic_core", "yaml", "tqdm", "nltk", "keras", "tensorflow", "h5py", "onnx", "jax", "torch")
MBR = {"type": "mbr", "samples": 4, "neighbours": 3}
JUDGED = {**MBR, "embedding": "runs/embedding", "embedding_weight": 40.0}


class Lookup:
    """Random features by image id."""

    def features(self, ids):
        rows = [np.random.default_rng(int(image)).normal(size=D) for image in ids]
        return np.array(rows, np.float32) * 3


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return toy.make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def images(data):
    return [str(path) for path in sorted((data / "images").glob("*.png"))]


@pytest.fixture(scope="module")
def export(tmp_path_factory, data):
    """An export with a caption index and a summary of the training images."""
    config = toy.config_of(data.parent, data={"root": str(data)}).model_dump(mode="json")
    folder = write_export(tmp_path_factory.mktemp("export") / "toy", config=config)
    ids = [str(number) for number in range(60)]
    captions = [[WORDS.encode(f"a {colour} ball".split())] for colour in ["red", "green", "grey"] * 20]
    CaptionIndex.build(Lookup(), ids, captions).save(folder)
    TrainingDomain.of(Lookup(), ids[:45], ids[45:]).save(folder / "domain.npz")
    judge = StoredJudge(tiny_embedding(D, V), WORDS, {"lowercase": True}, JUDGED["embedding"], "", True)
    judge.save(folder)
    write_manifest(folder, read_manifest(folder) | {"files": {}})
    return folder


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"beam_size": 2},
        {"decoding": "greedy"},
        {"decoding": "sample", "samples": 3, "seed": 2},
        {"rerank": MBR},
        {"rerank": JUDGED},
    ],
    ids=str,
)
def test_captions_are_those_of_the_captioner(export, images, settings):
    found, expected = (kind.load(export).caption(images, **settings) for kind in (Captioner, FullCaptioner))
    assert found == expected
    assert [c.domain for c in found] == [c.domain for c in expected]
    assert found[0].domain is not None and len(found) == len(images)


def test_a_joint_embedding_in_an_export_judges_captions(export, images, tmp_path):
    captioner = Captioner.load(export)
    plain, judged = (captioner.caption(images, rerank=rerank) for rerank in (MBR, JUDGED))
    assert [str(one) for one in plain] != [str(one) for one in judged]
    with pytest.raises(CheckpointError, match="runs/other"):
        captioner.caption(images[0], rerank={**JUDGED, "embedding": "runs/other"})
    folder = shutil.copytree(export, tmp_path / "toy")
    (folder / "caption_judge.npz").unlink()
    write_manifest(folder, read_manifest(folder) | {"files": {}})
    with pytest.raises(CheckpointError, match="joint embedding"):
        Captioner.load(folder).caption(images[0], rerank=JUDGED)


def test_images_of_every_kind(export, images):
    captioner = Captioner.load(export, threads=1)
    expected = captioner.caption(images[0])
    with open(images[0], "rb") as file:
        content = file.read()
    for image in (content, Image.open(images[0]), np.asarray(Image.open(images[0]))):
        assert captioner.caption(image) == expected
    assert captioner.caption([]) == []
    assert captioner.caption_features(captioner.features(images[:2]))[0].text == expected.text
    assert captioner.features([]).shape == (0, D)
    assert captioner.features(images[0]).shape == (1, D)


def test_unreadable_images_are_returned_or_raised(export, images):
    captioner = Captioner.load(export)
    found = captioner.caption([images[0], b"nothing", images[1]], on_error="return")
    assert [type(one).__name__ for one in found] == ["Caption", "ImageError", "Caption"]
    with pytest.raises(ImageError):
        captioner.caption(b"nothing")


def test_an_exported_ensemble(tmp_path, images, export):
    both = write_export(tmp_path / "both", seeds=(0, 1), config=read_manifest(export)["config"])
    for name in ("caption_index.npz", "caption_judge.npz", "caption_judge.json"):
        shutil.copy(export / name, both / name)
    write_manifest(both, read_manifest(both) | {"files": {}})
    captioner = Captioner.load(both)
    assert len(captioner.members) == 2
    for settings in ({}, {"rerank": {**JUDGED, "samples_from": "members"}}):
        assert captioner.caption(images, **settings) == FullCaptioner.load(both).caption(images, **settings)


def test_mistakes_are_clear_errors(export, images, tmp_path):
    captioner = Captioner.load(export)
    for error, attempt in (
        (ConfigError, lambda: captioner.caption(images[0], beam_size=0)),
        (ConfigError, lambda: captioner.caption(images[0], "beem")),
        (ConfigError, lambda: Captioner.load(export, decoding={"beam_size": "many"})),
        (FeatureError, lambda: captioner.caption_features(np.zeros((1, D + 1), np.float32))),
        (FeatureError, lambda: captioner.caption_features(np.full((1, D), np.nan, np.float32))),
        (CheckpointError, lambda: Captioner.load(export, encoder=False).caption(images[0])),
        (CheckpointError, lambda: Captioner.load(tmp_path)),
        (ConfigError, lambda: Captioner.load("")),
    ):
        with pytest.raises(error) as caught:
            attempt()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"decoding": {"type": "beam", "beam_size": 10**9}},
        {"decoding": {"type": "mine"}},
        {"decoding": {"type": "beam", "rerank": {"type": "mine"}}},
        {"decoding": {"type": "beam", "code": "import os"}},
        {"text": {"mode": "no"}},
        {"text": {"lowercase": [1]}},
    ],
    ids=str,
)
def test_damaged_settings_are_refused(export, tmp_path, change):
    folder = shutil.copytree(export, tmp_path / "toy")
    (folder / "manifest.json").write_text(json.dumps(read_manifest(folder) | change))
    with pytest.raises(CheckpointError, match="toy"):
        Captioner.load(folder)


@pytest.mark.parametrize("name", ["caption_index.npz", "domain.npz", "vocabulary.json", "step.onnx"])
def test_files_with_correct_hashes_and_wrong_content_are_refused(export, tmp_path, images, name):
    folder = shutil.copytree(export, tmp_path / "toy")
    (folder / name).write_bytes(b"PK\3\4" + bytes(200))
    write_manifest(folder, read_manifest(folder) | {"files": {}})
    with pytest.raises(CapsmithError, match=name):
        Captioner.load(folder).caption(images[0], rerank=MBR)


def test_another_vocabulary_is_refused(export, tmp_path):
    folder = shutil.copytree(export, tmp_path / "toy")
    words = json.loads((folder / "vocabulary.json").read_text())
    words["words"], words["counts"] = words["words"][: V - 1], words["counts"][: V - 1]
    (folder / "vocabulary.json").write_text(json.dumps(words))
    write_manifest(folder, read_manifest(folder) | {"files": {}})
    with pytest.raises(CheckpointError, match=r"step\.onnx"):
        Captioner.load(folder)


def test_three_packages_are_enough(export, images):
    """In a process in which every other package is missing; ``-S`` leaves the installed ones out of the path."""
    import onnxruntime
    import PIL

    import capsmith

    packages = sorted({str(package.__file__).rsplit("/", 2)[0] for package in (np, onnxruntime, PIL, capsmith)})
    script = f"""
import sys
sys.path[:0] = {packages!r}
sys.modules.update(dict.fromkeys({ABSENT!r}))
from capsmith.deploy.runtime import Captioner
captioner = Captioner.load({str(export)!r})
for caption in captioner.caption({images[:3]!r}, rerank={JUDGED!r}):
    print(caption.text, caption.domain.unlike_training)
"""
    done = subprocess.run([sys.executable, "-S", "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    expected = FullCaptioner.load(export).caption(images[:3], rerank=JUDGED)
    assert done.stdout.splitlines() == [f"{c.text} {c.domain.unlike_training}" for c in expected]


def test_pixels_of_another_size_are_refused(export):
    with pytest.raises(ValueError, match=str(SIDE)):
        Captioner.load(export).encode(np.zeros((1, SIDE + 1, SIDE, 3), np.uint8))


def test_the_command_captions_an_export_without_other_packages(export, images):
    """``capsmith caption EXPORT`` takes this runtime; a setting that needs the config takes the complete captioner."""
    script = f"""
import sys
from capsmith.cli import main
assert main(["caption", {str(export)!r}, *{images[:2]!r}, "--n", "2", "--json"]) == 0
loaded = {{name.split(".")[0] for name in sys.modules}}
assert not loaded & {set(ABSENT)!r}, loaded & {set(ABSENT)!r}
assert main(["caption", {str(export)!r}, {images[0]!r}, "--set", "decoding.n=2", "--json"]) == 0
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    first, _, again = map(json.loads, done.stdout.splitlines())
    assert len(first["captions"]) == 2 and first == again
