"""Evaluation of a joint embedding: scores, readings and the report."""

import json
import shutil

import pytest

from capsmith import ConfigError, RetrievalEvaluation, evaluate
from capsmith.cli import main
from capsmith.evaluation.readings import read


@pytest.fixture(scope="module")
def result(tiny_embedding, tmp_path_factory):
    run = shutil.copytree(tiny_embedding, tmp_path_factory.mktemp("evaluated") / "run")
    return evaluate(run, "test", ["evaluation.examples=8", "evaluation.shown=3"])


def test_scores(result):
    assert isinstance(result, RetrievalEvaluation)
    saved = json.loads((result.directory / "scores.json").read_text())
    assert saved["split"] == "test" and (saved["images"], saved["captions"]) == (24, 48)
    assert saved["scores"]["t2i_r5"]["value"] == result.scores["t2i_r5"].value
    assert result.scores["recall"].value > 0.4 > 0.35 > result.control["recall"].value


def test_the_reading_is_recorded(result):
    (entry,) = read(result.directory.parent / "test_readings.jsonl")
    assert entry["scores"]["recall"] == result.scores["recall"].value and entry["images"] == 24
    assert entry["runs"][0]["embedding_sha256"]


def test_the_report(result):
    page = result.page.read_text()
    assert "✓" in page and "i2t_r10" in page and page.count("<h3") == 4
    assert {path.name for path in (result.directory / "images").glob("*.jpg")} == {
        part.split('"')[0] for part in page.split('src="images/')[1:]
    }


def test_the_command_line(tiny_embedding, tmp_path, capsys):
    assert main(["evaluate", str(tiny_embedding), "--split", "dev", "--out", str(tmp_path / "out"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["images"] == 24 and printed["scores"]["i2t_r10"]["interval"]
    assert main(["evaluate", str(tiny_embedding), "--split", "dev", "--out", str(tmp_path / "out")]) == 0  # replaced


def test_weights_are_not_averaged(tiny_embedding):
    with pytest.raises(ConfigError, match="average"):
        evaluate([tiny_embedding, tiny_embedding], "dev", average=True)
