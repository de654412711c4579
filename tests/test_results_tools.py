"""The tools that keep results: what is kept, what is refused, grammar rules, sweeps, recovered readings."""

import csv
import json
import shutil
import subprocess
import sys

import pytest
import yaml

from benchmarks import rescoring
from capsmith.core.errors import CapsmithError
from capsmith.evaluation import readings
from capsmith.evaluation.kinds import evaluate
from capsmith.models.run import RunDirectory
from tests.support import shapes
from tools import grammar, keep, measures, paths, reconstruct_readings, sweep
from tools.rows import ENCODER_SIZES, ROWS, Row

TOY = Row("a toy", {"type": "greedy"}, ("mobilenet_v2",), ("flickr8k/toy/seed_1",), members=2)


@pytest.fixture
def results(tmp_path, monkeypatch):
    """An empty results folder with one row of two members."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "summary.json").write_text("{}")
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(paths, "SUMMARY", tmp_path / "results" / "summary.json")
    monkeypatch.setattr(paths, "READINGS", tmp_path / "results" / "test_readings.jsonl")
    monkeypatch.setattr(keep, "ROWS", {"toy": TOY})
    return tmp_path / "results"


@pytest.fixture
def runs(tmp_path):
    """Two runs that were evaluated together on dev and test."""
    copies = [shutil.copytree(shapes.trained(), tmp_path / name) for name in ("first", "second")]
    for split in ("dev", "test"):
        evaluate(copies, split, ["decoding.type=greedy"])
    return copies


def kept_folder(results):
    """Returns the one kept folder of the toy row."""
    (folder,) = (results / "flickr8k" / "toy").iterdir()
    return folder


def enter(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["keep", *map(str, arguments)])
    keep.main()


def test_everything_behind_a_figure_is_kept(results, runs, monkeypatch, tmp_path):
    first, second = runs
    options = ["--command", "c", "--note", "n", "--members", second, "--replace-path", f"{tmp_path}=HERE"]
    enter(monkeypatch, "toy", first, "--report", "report/ensemble", *options)
    folder = kept_folder(results)
    for name in ("config.yaml", "history.csv", "log.txt", "versions.json", "report/scores.json"):
        assert (folder / name).exists(), name
    for name in ("config.yaml", "history.csv", "log.txt", "versions.json"):
        assert (folder / "members" / "second" / name).exists(), name
    dev = json.loads((folder / "report" / "dev" / "scores.json").read_text())
    assert dev["split"] == "dev"
    kept = readings.read(RunDirectory(results).test_readings)
    noted = {entry["id"] for run in runs for entry in readings.read(RunDirectory(run).test_readings)}
    assert {entry["id"] for entry in kept} == noted
    assert len(noted) == 2  # the training's own, which both copies share, and that of the ensemble
    assert {entry["row"] for entry in kept} == {"toy"}
    assert str(tmp_path) not in (RunDirectory(results).test_readings).read_text()
    summary = json.loads((results / "summary.json").read_text())
    together = summary["flickr8k.toy.all_parameters"]["value"] - summary["flickr8k.toy.parameters"]["value"]
    assert together == ENCODER_SIZES["mobilenet_v2"][0]
    enter(monkeypatch, "toy", first, "--report", "report/ensemble", *options)
    assert len(readings.read(RunDirectory(results).test_readings)) == 2  # nothing twice


def test_the_kept_config_has_the_decoding_that_was_evaluated(results, runs, monkeypatch):
    was = yaml.safe_load((runs[0] / "config.yaml").read_text())["decoding"]
    assert was["type"] == "beam"
    enter(monkeypatch, "toy", runs[0], "--report", "report/ensemble", "--command", "c", "--note", "n")
    text = (kept_folder(results) / "config.yaml").read_text()
    assert yaml.safe_load(text)["decoding"]["type"] == "greedy"
    assert text.startswith("# decoding: that of report/scores.json")


def test_a_row_refuses_reports_of_another_decoding(results, runs, monkeypatch):
    evaluate(runs, "test", ["decoding.beam_size=2"])
    before = (results / "summary.json").read_text()
    with pytest.raises(SystemExit, match="toy.*greedy"):
        enter(monkeypatch, "toy", runs[0], "--report", "report/ensemble", "--command", "c", "--note", "n")
    assert (results / "summary.json").read_text() == before


def test_an_unknown_row_is_refused(results, runs, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        monkeypatch.setattr(sys, "argv", ["keep", "other", str(runs[0]), "--command", "c", "--note", "n"])
        keep.main()
    assert "other" in capsys.readouterr().err


@pytest.mark.parametrize(
    "key, value", [("training.precision", "bfloat16"), ("decoder.units", 7), ("text.min_count", 9)]
)
def test_runs_of_another_recipe_are_refused_as_seeds(runs, key, value):
    first, second = runs
    section, name = key.split(".")
    config = yaml.safe_load((second / "config.yaml").read_text())
    config[section][name] = value
    (second / "config.yaml").write_text(yaml.safe_dump(config))
    scores = [{"decoding": {"type": "greedy"}}] * 2
    with pytest.raises(SystemExit, match=key):
        keep.require_row("toy", TOY, runs, scores)
    assert measures.recipe_differences(first, first) == []


def test_runs_in_another_precision_are_not_seeds(runs):
    versions = json.loads((runs[1] / "versions.json").read_text()) | {"precision": "bfloat16"}
    (runs[1] / "versions.json").write_text(json.dumps(versions))
    assert measures.recipe_differences(*runs) == ["training.precision"]


def test_seeds_may_differ_in_seed_and_paths(runs):
    config = yaml.safe_load((runs[1] / "config.yaml").read_text())
    config["seed"] = 77
    config["data"]["root"] = "elsewhere"
    (runs[1] / "config.yaml").write_text(yaml.safe_dump(config))
    assert measures.recipe_differences(*runs) == []


def test_a_sweep_measures_every_combination_once_on_dev_alone(tmp_path, monkeypatch, capsys):
    run = shutil.copytree(shapes.trained(), tmp_path / "run")
    before = readings.read(RunDirectory(run).test_readings)
    options = ["toy", str(run), "--out", str(tmp_path), "--grid", "decoding.beam_size=1,2"]
    for grid in ("0.5", "0.5,1.0"):
        monkeypatch.setattr(sys, "argv", ["sweep", *options, "--grid", f"decoding.length_penalty={grid}"])
        sweep.main()
    with (kept_folder(tmp_path) / "sweep_dev.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    settings = [(line["decoding.beam_size"], line["decoding.length_penalty"]) for line in lines]
    assert settings == [("1", "0.5"), ("2", "0.5"), ("1", "1.0"), ("2", "1.0")]
    assert readings.read(RunDirectory(run).test_readings) == before
    found = evaluate(run, "dev", ["decoding.beam_size=2", "decoding.length_penalty=1.0"])
    assert float(lines[3]["cider"]) == pytest.approx(found.scores["cider"].value, abs=6e-5)
    assert "highest dev CIDEr" in capsys.readouterr().out


def test_combinations_vary_the_last_key_fastest():
    found = list(sweep.combinations(["a=1,2", "b=x,y"]))
    assert found == [{"a": "1", "b": "x"}, {"a": "1", "b": "y"}, {"a": "2", "b": "x"}, {"a": "2", "b": "y"}]


@pytest.mark.parametrize(
    "caption, rule",
    [
        ("a dog a dog runs", "repeated"),
        ("a man in a white white shirt", "repeated"),
        ("a man is standing on the", "dangling"),
        ("a dog with a brown and", "dangling"),
        ("a man wearing a red", "dangling"),
        ("a woman dressed in a red", "dangling"),
        ("a people are standing in a field", "number_clash"),
        ("a young boy is playing on a rocks", "number_clash"),
        ("a man plays guitar on the an empty street", "double_article"),
        ("a group of with a dog", "double_preposition"),
        ("a man in front of for the camera", "double_preposition"),
        ("a is running in the grass", "stranded_function_word"),
        ("two men is standing", "agreement"),
        ("a young boy are playing", "agreement"),
        ("a dog is runs in the grass", "double_verb"),
        ("a group of people are sitting on a rock rocks", "noun_and_its_plural"),
        ("a woman and a woman are sitting on a bench", "joined_with_itself"),
    ],
)
def test_rules_object_to_what_nobody_would_write(caption, rule):
    assert rule in grammar.objections(caption.split())


@pytest.mark.parametrize(
    "caption",
    [
        "a group of people are standing in front of a building",
        "a group of people is standing in front of a building",
        "a girls soccer team celebrates on the field",
        "a man and a woman are sitting on a bench",
        "a man and a woman is what we see",
        "a boy kicks a ball while another boy looks on",
        "a woman standing next to her",
        "two dogs are running through the grass",
        "a man walks over to the water",
        "the dog jumps out of the water onto a dock",
        "a man with a dog walks by in the snow",
        "",
        "dogs",
    ],
)
def test_rules_leave_good_captions_alone(caption):
    assert grammar.objections(caption.split()) == []


def test_relations_are_prepositions_and_actions_with_their_nouns():
    words = "a person is standing on a big blue sky while holding the red ball".split()
    assert grammar.relations(words) == [("on", "sky"), ("holding", "ball")]
    assert grammar.relations([]) == []


def test_a_relation_is_odd_when_it_was_to_be_expected_and_never_seen():
    training = [line.split() for line in ["a man on a rock"] * 10 + ["a bird in the sky"] * 10]
    odd = grammar.UnusualRelations(training, expected=3.0)  # of 20: "on" 10, "sky" 10, so 5 to be expected
    assert odd("a man on the sky".split()) == [("on", "sky")]
    assert odd("a man on a rock".split()) == []
    assert odd("a man on a table".split()) == []  # nothing is known of tables
    assert grammar.UnusualRelations(training, expected=5.1)("a man on the sky".split()) == []


def published(folder, models):
    """Writes what the two repositories look like, with so many models each."""
    images = [f"{n}.jpg" for n in range(3)]
    for kind in ("where-image2", "rnn-role"):
        (folder / kind / "results").mkdir(parents=True)
    (folder / "where-image2" / "results" / "imgs_flickr8k.txt").write_text("\n".join(images) + "\n")
    for n in range(models["where-image2"]):
        place = folder / "where-image2" / "results" / f"flickr8k_init_{n}"
        place.mkdir()
        (place / "generated_captions.txt").write_text("".join(f"caption {n} of {image}\n" for image in images))
    human = folder / "where-image2" / "results" / "flickr8k_human_1"
    human.mkdir()
    (human / "generated_captions.txt").write_text("x\n" * 3)
    for n in range(models["rnn-role"]):
        place = folder / "rnn-role" / "results" / f"merge_flickr8k_{n}"
        place.mkdir()
        rows = [{"image_id": i, "caption": f"caption {n} of {image}"} for i, image in enumerate(images)]
        (place / "generated_captions.json").write_text(json.dumps(rows[::-1]))


def test_the_published_captions_are_read_by_image(tmp_path):
    published(tmp_path, rescoring.EXPECTED)
    found = rescoring.captions(tmp_path / "where-image2", tmp_path / "rnn-role")
    assert len(found) == 66
    assert not any("human" in model for model in found)
    assert found["rnn-role/merge_flickr8k_4"]["2.jpg"] == "caption 4 of 2.jpg"
    assert found["where-image2/flickr8k_init_4"]["2.jpg"] == "caption 4 of 2.jpg"


def test_published_captions_that_are_not_all_there_are_noticed(tmp_path):
    published(tmp_path, {"where-image2": 12, "rnn-role": 53})
    with pytest.raises(CapsmithError, match="rnn-role: captions of 53 Flickr8k models"):
        rescoring.captions(tmp_path / "where-image2", tmp_path / "rnn-role")
    (tmp_path / "where-image2" / "results" / "imgs_flickr8k.txt").write_text("0.jpg\n")
    with pytest.raises(CapsmithError, match="3 captions for 1 images"):
        rescoring.captions(tmp_path / "where-image2", tmp_path / "rnn-role")
    with pytest.raises(CapsmithError, match="cannot read .* is it a clone"):
        rescoring.captions(tmp_path / "none", tmp_path / "rnn-role")


def test_readings_before_the_log_are_those_of_git(monkeypatch):
    """The log's lines come again from the history, where it is there (a shallow clone has none)."""
    try:
        reconstruct_readings.git("cat-file", "-e", reconstruct_readings.LAST)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("git history is not available")
    if reconstruct_readings.git("rev-parse", "--is-shallow-repository").strip() == "true":
        pytest.skip("the history is incomplete")
    log = readings.read(paths.READINGS)
    committed = reconstruct_readings.committed_readings()
    assert set(committed) <= {one["id"] for one in log}
    assert len([one for one in log if one.get("source") == reconstruct_readings.GIT]) == 42
    assert all(one["row"] in ROWS for one in log)
