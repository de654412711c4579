import json
import shutil

import pytest

import shapes
from capsmith.cli import main


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


def test_the_control_is_far_below(run, capsys):
    values = {}
    for control in ([], ["--control", "shuffled-images"]):
        found = json.loads(evaluated(capsys, run, "--split", "dev", "--json", *control))
        values[bool(control)] = found["bleu4"]["value"]
    assert values[True] < 0.6 * values[False]
    assert "pictures shuffled" in evaluated(capsys, run, "--split", "dev", "--control", "shuffled-images")


def test_set_chooses_the_search_and_the_metrics(run, capsys):
    found = json.loads(
        evaluated(capsys, run, "--json", "--set", "decoding.type=greedy", "--set", "evaluation.metrics=[rouge]")
    )
    assert list(found) == ["rouge"]
    assert json.loads((run / "report" / "scores.json").read_text())["decoding"]["type"] == "greedy"


def test_several_runs_write_together(run, tmp_path, capsys):
    """Two of the same are the same; the report has a place of its own."""
    alone = json.loads(evaluated(capsys, run, "--json"))
    both = json.loads(evaluated(capsys, run, str(run), "--json", "--out", str(tmp_path / "both")))
    assert both == alone
    assert (tmp_path / "both" / "predictions.jsonl").exists()
    evaluated(capsys, run, str(run))
    assert (run / "report" / "ensemble" / "index.html").exists()


def test_runs_with_other_words_do_not(run, tiny_run, capsys):
    assert main(["evaluate", str(run), str(tiny_run.run)]) == 2
    assert f"{tiny_run.run} has other words than {run}" in capsys.readouterr().err
