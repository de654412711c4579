"""``configs/flickr8k_clip.yaml`` on a tiny preset and drawn images, through the commands."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from capsmith.cli import main
from capsmith.core.errors import CheckpointError
from capsmith.models.captioner import Captioner
from capsmith.models.judge_copy import copy_judge
from capsmith.models.run_config import run_config
from capsmith.vision.store import FeatureStore
from tests.support import toy
from tests.support.tiny_embedding import write_embedding_run

CONFIG = Path(__file__).parents[3] / "configs" / "flickr8k_clip.yaml"


@pytest.fixture(scope="module")
def trained(tmp_path_factory, preset):
    """A folder with ``run``, trained on ``data`` with a copy of the preset that is gone since."""
    place = tmp_path_factory.mktemp("clip_run")
    data = toy.make_data(place / "data")
    copied = shutil.copytree(preset, place / "preset")
    values = yaml.safe_load(CONFIG.read_text())
    own = toy.settings(data, place / "cache")
    values |= {name: own[name] for name in ("data", "text", "features", "evaluation")}
    values["encoder"]["preset"] = str(copied)
    values["decoder"] |= {"units": 16, "attention_units": 16, "heads": 2, "embedding": {"size": 8}}
    values["training"] |= {"epochs": 1, "batch_size": 12}
    config = toy.write_config(place / "clip.yaml", values)
    assert main(["train", "--config", str(config), "--run", str(place / "run")]) == 0
    shutil.rmtree(copied)
    return place


def test_features_are_stored_once_as_a_grid(trained):
    (store,) = (trained / "cache").iterdir()
    manifest = json.loads((store / "manifest.json").read_text())
    assert store.name.startswith("hub-grid-") and manifest["fingerprint"]["type"] == "hub"
    assert manifest["fingerprint"]["weights"].startswith("sha256:") and manifest["shape"] == [16, 16]


def test_the_run_is_evaluated_and_captions_without_the_preset(trained, capsys):
    assert main(["evaluate", str(trained / "run"), "--set", f"encoder.preset={trained / 'run'}"]) == 0
    assert len(list((trained / "cache").iterdir())) == 1  # the same features
    capsys.readouterr()
    image = trained / "data" / "images" / "red_ball.png"
    assert main(["caption", str(trained / "run"), str(image), "--json"]) == 0
    caption = json.loads(capsys.readouterr().out)
    assert "red_ball" in json.dumps(caption)


def test_a_missing_preset_names_the_runs_copy(trained, capsys):
    assert main(["evaluate", str(trained / "run")]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert str(trained / "preset") in error and "encoder.preset" in error


def test_captioning_gives_the_features_of_the_store(trained):
    captioner = Captioner.load(trained / "run")
    (store,) = (trained / "cache").iterdir()
    stored = FeatureStore.open(store)
    images = sorted((trained / "data" / "images").iterdir())
    found = captioner.features([str(image) for image in images])
    ids = [image.name for image in images]
    np.testing.assert_allclose(found, stored.gather(stored.rows(ids)), atol=5e-3)  # stored in half precision


def test_export_is_refused_in_one_line(trained, capsys, tmp_path):
    assert main(["export", str(trained / "run"), str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "keras-hub" in error and not (tmp_path / "out").exists()


def test_a_pooled_output_is_not_taken_for_the_mean_of_the_patches(trained, tmp_path):
    run = shutil.copytree(trained / "run", tmp_path / "run")
    embedding = write_embedding_run(tmp_path / "embedding", run, output="pooled")
    rerank = f"decoding.rerank={{type: mbr, embedding: {embedding}, embedding_weight: 1.0}}"
    with pytest.raises(CheckpointError, match="output: pooled instead of grid"):
        copy_judge(run_config(run, [rerank]), run)
