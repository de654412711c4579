import json
import shutil

import numpy as np
import pytest
import yaml

from capsmith import Captioner
from capsmith.cli import main
from tests.support import shapes


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return shutil.copytree(shapes.trained(), tmp_path_factory.mktemp("evaluate") / "run")


def evaluated(capsys, run, *arguments):
    assert main(["evaluate", str(run), *arguments]) == 0
    return capsys.readouterr().out


def test_prints_scores_with_signatures(run, capsys):
    shown = evaluated(capsys, run, "--split", "dev")
    lines = shown.splitlines()
    assert lines[0] == "dev split"
    assert lines[-1] == str(run / "report" / "dev" / "index.html")
    assert any(line.startswith("BLEU-4") for line in lines)
    assert any(line.startswith("bleu4|order:4|tok:coco") for line in lines)


def test_shuffled_captions_score_far_lower(run, capsys):
    values = {}
    for control in ([], ["--control", "shuffled-images"]):
        result = json.loads(evaluated(capsys, run, "--split", "dev", "--json", *control))
        assert result["is_control"] == bool(control) and result["control"]["kind"] == "shuffled-images"
        assert (result["scores"] == result["control"]["scores"]) == bool(control)
        assert (result["split"], result["images"]) == ("dev", 24)
        values[bool(control)] = result["scores"]["bleu4"]["value"]
    assert values[True] < 0.6 * values[False]
    assert "images shuffled" in evaluated(capsys, run, "--split", "dev", "--control", "shuffled-images")


def test_set_chooses_the_search_and_the_metrics(run, capsys):
    result = json.loads(
        evaluated(capsys, run, "--json", "--set", "decoding.type=greedy", "--set", "evaluation.metrics=[rouge]")
    )
    assert list(result["scores"]) == ["rouge"]
    assert json.loads((run / "report" / "scores.json").read_text())["decoding"]["type"] == "greedy"


def test_several_runs_form_an_ensemble(run, tmp_path, capsys):
    """Two copies of one run score as that run does; the report gets its own folder."""
    alone = json.loads(evaluated(capsys, run, "--json"))
    both = json.loads(evaluated(capsys, run, str(run), "--json", "--out", str(tmp_path / "both")))
    assert both["scores"] == alone["scores"]
    assert (tmp_path / "both" / "predictions.jsonl").exists()
    evaluated(capsys, run, str(run))
    assert (run / "report" / "ensemble" / "index.html").exists()


def test_the_first_run_decides_the_search(run, tmp_path, capsys):
    """A key that only the first run's search takes is not an error of the other runs."""
    other = shutil.copytree(run, tmp_path / "other")
    config = yaml.safe_load((other / "config.yaml").read_text())
    config["decoding"] = {"type": "greedy"}
    (other / "config.yaml").write_text(yaml.safe_dump(config))
    beam = ("--set", "decoding.type=beam", "--set", "decoding.beam_size=2", "--out", str(tmp_path / "out"))
    evaluated(capsys, run, str(other), *beam, "--json")
    assert json.loads((tmp_path / "out" / "scores.json").read_text())["decoding"]["beam_size"] == 2
    assert main(["evaluate", str(other), "--set", "decoding.beam_size=2"]) == 2  # an error when evaluated alone


def test_runs_with_different_vocabularies_are_refused(run, tiny_run, capsys):
    assert main(["evaluate", str(run), str(tiny_run.run)]) == 2
    error = capsys.readouterr().err
    assert str(tiny_run.run) in error and str(run) in error and "vocabulary" in error


def test_average_takes_the_mean_of_the_weights(run, tmp_path, capsys):
    """The weights of two copies are shifted in opposite directions; their mean is the original model."""
    alone = json.loads(evaluated(capsys, run, "--json"))
    moved = []
    for number, sign in enumerate((1, -1)):
        captioner = Captioner.load(run)
        for index, weight in enumerate(captioner.model.weights):
            noise = np.random.default_rng(index).normal(size=weight.shape).astype("float32")
            weight.assign(weight + sign * noise)
        moved.append(shutil.copytree(run, tmp_path / str(number), ignore=shutil.ignore_patterns("report")))
        captioner.members[0].save_weights(moved[-1])
    spoilt = json.loads(evaluated(capsys, moved[0], "--json"))
    mean = json.loads(evaluated(capsys, moved[0], str(moved[1]), "--average", "--json"))
    assert spoilt["scores"]["cider"]["value"] < 0.5 * alone["scores"]["cider"]["value"]
    assert mean["scores"]["cider"]["value"] == pytest.approx(alone["scores"]["cider"]["value"], rel=0.02)
    assert (moved[0] / "report" / "average" / "index.html").exists()


def test_different_models_cannot_be_averaged(run, tmp_path, capsys):
    other = shutil.copytree(run, tmp_path / "other")
    text = (other / "config.yaml").read_text()
    (other / "config.yaml").write_text(
        text.replace("  lowercase: true", "  lowercase: false")
    )  # its weights would load
    assert main(["evaluate", str(run), str(other), "--average"]) == 2
    error = capsys.readouterr().err
    assert str(other) in error and str(run) in error and "text.lowercase" in error
