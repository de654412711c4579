"""The model card: what the manifest states, for people."""

import json
import shutil

import pytest

from capsmith.deploy.export.card import labels
from capsmith.deploy.export.export import export
from capsmith.deploy.export.sample_images import SampleImages
from capsmith.models.captioner import Captioner


@pytest.fixture(scope="module")
def made(tiny_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("card")
    shutil.copytree(tiny_run.run, folder / "run")
    return export(folder / "run", folder / "out", quantise="float16").folder


def read(folder):
    return (folder / "README.md").read_text(encoding="utf-8"), json.loads((folder / "manifest.json").read_text())


def test_every_file_stands_there_with_its_hash(made):
    card, manifest = read(made)
    for name, entry in manifest["files"].items():
        assert f"| {name} | {entry['bytes']:,} | `{entry['sha256']}` |" in card


def test_scores_have_signatures_and_the_control(made):
    card, manifest = read(made)
    scores = manifest["scores"]
    assert scores["split"] in ("test", "dev") and scores["of"] == "float32 checkpoint"
    for name, score in scores["scores"].items():
        row = next(line for line in card.splitlines() if line.startswith(f"| {name} "))
        assert f"{score['value']:.4f}" in row and score["signature"].replace("|", "\\|") in row


def test_scores_of_another_search_are_left_out(tiny_run, tmp_path):
    shutil.copytree(tiny_run.run, tmp_path / "run")
    folder = export(tmp_path / "run", tmp_path / "out", overrides=["decoding.beam_size=3"]).folder
    card, manifest = read(folder)
    assert manifest["scores"] == {} and "signature" not in card


def test_it_states_use_limits_licences_and_the_comparison(made):
    card, manifest = read(made)
    for heading in ("## Use", "## Intended use and limits", "## Licences", "## Scores", "## Files"):
        assert heading in card
    assert "capsmith.deploy.runtime" in card and "float16" in card
    assert f"{manifest['verified']['same_captions']:.1%}" in card and manifest["verified"]["source"] in card
    assert manifest["labels"]["trained_on"] in card


def test_the_label_counts_images_or_captions(tiny_run):
    captioner = Captioner.load(tiny_run.run, encoder=False)
    assert "6 images" in labels(captioner, SampleImages((), "", 6))["trained_on"]
    assert "12 captions" in labels(captioner, SampleImages((), ""))["trained_on"]
