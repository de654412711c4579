"""Ensembles of trained runs: one training, explicit lists and saved ensembles give the same captions everywhere.

The members have different encoders, and the search is reranked by the captions of training images.
"""

import json
import shutil

import numpy as np
import pytest
import yaml

from capsmith import Captioner, evaluate, load_config, train
from capsmith.cli import main
from capsmith.core.errors import CheckpointError, ConfigError
from capsmith.decoding.config import BeamConfig
from capsmith.models.ensemble_run import find_runs, is_model
from capsmith.models.run import RunDirectory
from tests.support import shapes

ENCODERS = [
    {"type": "small_cnn", "weights": "none", "image_size": 32, "output": "grid"},
    {"type": "small_cnn", "weights": "none", "image_size": 48, "output": "grid"},
]
MBR = {"type": "mbr", "samples": 2, "neighbours": 3, "samples_from": "members"}
RERANKED = {"type": "beam", "beam_size": 3, "max_length": 10, "rerank": MBR}
TEST = [shapes.data() / "images" / f"{'_'.join(scene)}_4.png" for scene in shapes.SCENES]


def settings(decoder, **sections):
    values = shapes.settings(training={"epochs": 2}, evaluation={"metrics": ["bleu"]}, **sections)
    values["decoder"] = {"units": 16, "embedding": {"size": 8}, **decoder}
    return values


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A training whose config names an ensemble: two encoders and attention, and a member with the second encoder."""
    folder = tmp_path_factory.mktemp("ensemble")
    (folder / "member.yaml").write_text(yaml.safe_dump(settings({"type": "merge"}, seed=5)))
    values = settings({"type": "updown", "attention_units": 8, "heads": 2})
    values["encoder"], values["decoding"] = ENCODERS, RERANKED
    values["training"]["precision"] = "bfloat16"  # reloaded in float32 after training, before the member exists
    values["ensemble"] = [{"run": str(folder / "member"), "config": str(folder / "member.yaml"), "encoders": [1]}]
    train(load_config(values), folder / "best")
    return RunDirectory(folder / "best")


@pytest.fixture(scope="module")
def member(run):
    return RunDirectory(run.path.parent / "member")


@pytest.fixture(scope="module")
def evaluated(run):
    """The captions of the test images, from the report that training wrote."""
    lines = (run.report / "predictions.jsonl").read_text().splitlines()
    return {line["image"]: line["caption"] for line in map(json.loads, lines)}


@pytest.fixture(scope="module")
def captioner(run):
    return Captioner.load(run.path)


@pytest.fixture(scope="module")
def saved(run, member):
    """A directory and a YAML file that name the members by relative paths."""
    directory = RunDirectory(run.path.parent / "saved")
    directory.path.mkdir()
    directory.ensemble.write_text("members: [../best, ../member]\n")
    file = run.path.parent / "best.yaml"
    file.write_text("members: [best, member]\nset: [decoding.max_length=10]\n")
    return directory.path, file


def test_caption_gives_the_caption_of_evaluate(run, evaluated, captioner, capsys):
    found = captioner.caption(TEST)
    assert {path.name: caption.text for path, caption in zip(TEST, found, strict=True)} == evaluated
    assert len(set(evaluated.values())) > 3
    assert main(["caption", str(run), str(TEST[5])]) == 0
    assert capsys.readouterr().out == f"{TEST[5]}\t{evaluated[TEST[5].name]}\n"


def test_all_ways_to_name_the_members_agree_in_caption(run, member, saved, evaluated, capsys):
    expected = "".join(f"{path}\t{evaluated[path.name]}\n" for path in TEST[:6])
    for models in ([run.path], [run.path, member.path], [saved[0]], [saved[1]]):
        assert main(["caption", *map(str, models), *map(str, TEST[:6])]) == 0
        assert capsys.readouterr().out == expected


def test_all_ways_to_name_the_members_agree_in_evaluate(run, member, saved, evaluated, tmp_path):
    for number, model in enumerate((run.path, [run.path, member.path], saved[0], str(saved[1]))):
        result = evaluate(model, out=tmp_path / str(number))
        assert {image: caption.text for image, caption in result.captions.items()} == evaluated


def test_every_member_affects_the_captions(run, member, evaluated, captioner):
    """A control: the first member alone gives other captions, also without the ensemble of its config."""
    alone = Captioner.load(run.path, overrides=["ensemble=[]"])
    assert len(alone.members) == 1 and len(captioner.members) == 2
    texts = [caption.text for caption in alone.caption(TEST)]
    assert texts != [evaluated[path.name] for path in TEST]
    other = Captioner.load(member.path)
    beam = BeamConfig(beam_size=3, max_length=10)
    scores = [model.caption(TEST[0], beam).log_probability for model in (alone, other, captioner)]
    assert len(set(scores)) == 3


def test_frozen_encoders_are_shared(captioner):
    first, second = captioner.members
    assert first.encoders[1] is second.encoders[0]
    assert captioner.features(TEST[0]).parts[0].shape[1:] == first.feature_shape
    assert captioner.features([]).parts[1].shape == (0, *second.feature_shape)


def test_captions_of_features(captioner):
    features = captioner.features(TEST[:4])
    assert [c.text for c in captioner.caption_features(features)] == [c.text for c in captioner.caption(TEST[:4])]


def test_attention_is_the_mean_of_the_members_with_attention(run, captioner):
    """The second member has no attention: maps are the first one's, probabilities the mean of both."""
    beam = BeamConfig(beam_size=2, max_length=6, min_length=3)
    caption = captioner.caption(TEST[0], beam, attention=True)
    assert caption.attention.shape == (len(caption.words), 2, 2)
    np.testing.assert_allclose(caption.attention.sum((1, 2)), 1, atol=1e-5)
    total = np.log(caption.probabilities).sum()
    assert caption.log_probability <= total + 1e-4  # the words exclude the end token
    twice = Captioner([captioner.members[0]] * 2).caption(TEST[0], beam, attention=True)
    alone = Captioner([captioner.members[0]]).caption(TEST[0], beam, attention=True)
    np.testing.assert_allclose(twice.attention, alone.attention, atol=1e-5)
    np.testing.assert_allclose(twice.probabilities, alone.probabilities, rtol=1e-4)
    without = Captioner([captioner.members[1]])
    with pytest.raises(ConfigError, match="merge"):
        without.caption(TEST[0], attention=True)


def test_the_cli_draws_the_attention_of_an_ensemble(run, tmp_path):
    assert main(["caption", str(run), str(TEST[0]), "--attention", str(tmp_path / "attention.png")]) == 0
    assert (tmp_path / "attention.png").stat().st_size > 1000


def test_a_saved_captioner_contains_its_members(captioner, tmp_path):
    captioner.save(tmp_path / "all")
    again = Captioner.load(tmp_path / "all")
    beam = BeamConfig(beam_size=3, max_length=10)
    assert [c.text for c in again.caption(TEST[:4], beam)] == [c.text for c in captioner.caption(TEST[:4], beam)]


def test_members_moved_with_the_run_are_found(run, member, evaluated, tmp_path):
    """The config names the member by a path that no longer exists: it is found beside the run."""
    for directory in (run, member):
        shutil.copytree(directory.path, tmp_path / directory.path.name)
    config = RunDirectory(tmp_path / "best").config
    config.write_text(config.read_text().replace(str(member), "/nowhere/member"))
    assert find_runs(tmp_path / "best").runs == (tmp_path / "best", tmp_path / "member")
    assert Captioner.load(tmp_path / "best").caption(TEST[0]).text == evaluated[TEST[0].name]


def test_reports_go_to_the_folder_of_the_ensemble(run, member, saved):
    assert find_runs(run.path).report == run.report
    assert find_runs([run.path, member.path]).report == run.report / "ensemble"
    assert find_runs([run.path, member.path], average=True).report == run.report / "average"
    assert find_runs(saved[0]).report == saved[0] / "report"
    assert find_runs([run.path]) == find_runs(run.path)


def test_runs_listed_explicitly_exclude_their_own_ensembles(run, member, saved):
    assert find_runs([member.path, run.path]).runs == (member.path, run.path)
    assert len(find_runs([member.path, saved[0]]).runs) == 3


def test_overrides_apply_to_several_runs(run, member):
    """The first member determines the search."""
    configs = find_runs([member.path, run.path], ["decoding.beam_size=7"]).configs()
    assert [config.decoding.beam_size for config in configs] == [7, RERANKED["beam_size"]]


@pytest.mark.parametrize(
    ("content", "named"),
    [("members: []\n", "members"), ("runs: [a]\n", "runs"), ("[", "ensemble.yaml"), ("members: [gone]\n", "gone")],
)
def test_a_damaged_ensemble_is_a_one_line_error(tmp_path, content, named, capsys):
    RunDirectory(tmp_path).ensemble.write_text(content)
    assert main(["caption", str(tmp_path), str(TEST[0])]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and str(tmp_path) in error and named in error
    with pytest.raises(CheckpointError):
        Captioner.load(tmp_path)


def test_paths_of_runs_and_ensembles_are_recognised(run, saved, tmp_path):
    assert is_model(run.path) and is_model(saved[0]) and is_model(saved[1])
    assert not is_model(TEST[0]) and not is_model(TEST[0].parent) and not is_model(tmp_path / "none.yaml")


def test_a_path_without_a_model_is_an_error():
    with pytest.raises(CheckpointError):
        find_runs([])
    with pytest.raises(ConfigError):
        find_runs("")
    with pytest.raises(TypeError):
        find_runs(3)


def test_runs_come_before_images(run, member, capsys):
    assert main(["caption", str(run), str(TEST[0]), str(member)]) == 2
    assert str(member) in capsys.readouterr().err
    assert main(["caption", str(run), str(member)]) == 2
    assert "image" in capsys.readouterr().err


def test_show_lists_every_member(run, capsys):
    assert main(["show", str(run)]) == 0
    shown = capsys.readouterr().out
    assert "updown captioner" in shown and "merge captioner" in shown
