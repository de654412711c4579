"""A smoke run trains stage one, members and adapted encoders inside its own directory, never into their real ones."""

import pytest
import yaml

from capsmith.cli import main
from capsmith.config import load_config
from capsmith.models.run import RunDirectory
from capsmith.training.history import read_csv
from capsmith.training.plan import training_plan
from capsmith.training.smoke_config import OVERRIDES, smoke_config
from tests.support import shapes


def test_the_best_model_stays_in_the_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "best-smoke"
    config = smoke_config(load_config("flickr8k_best.yaml", OVERRIDES), run)
    plan = training_plan(config, RunDirectory(run))
    assert [str(training.run.path.relative_to(run)) for training in plan] == [
        "start",
        "member_1/start",
        "member_1",
        ".",
    ]
    assert all(training.config.training.epochs == 1 and training.config.data.limit == 48 for training in plan)
    outputs = {encoder.pretrain_on_words.output for training in plan for encoder in training.config.encoders}
    assert outputs == {run / "adapted_1", run / "adapted_2"}
    members = [member.run for member in config.ensemble]
    assert members == [run / "member_1", run / "member_1/start", run / "start"]  # two of them are also a stage one


@pytest.fixture
def ensemble(tmp_path):
    """A config file with a stage one, and with a member that has its own."""
    plain = shapes.settings(seed=9, training={"epochs": 3}, evaluation={"after_training": None})
    (tmp_path / "plain.yaml").write_text(yaml.safe_dump(plain))
    further = {
        "resume_weights_from": str(tmp_path / "real" / "start"),
        "stage_one": {"config": str(tmp_path / "plain.yaml")},
        "epochs": 3,
    }
    (tmp_path / "further.yaml").write_text(yaml.safe_dump(shapes.settings(training=further)))
    member = {
        "run": str(tmp_path / "real" / "member"),
        "config": str(tmp_path / "further.yaml"),
        "set": ["seed=3", f"training.resume_weights_from={tmp_path / 'real' / 'start_3'}"],
    }
    path = tmp_path / "ensemble.yaml"
    path.write_text(yaml.safe_dump({**shapes.settings(training=further), "ensemble": [member]}))
    return path


def test_nothing_is_written_into_real_runs(ensemble, tmp_path, capsys):
    run = tmp_path / "runs" / "best"
    for _ in range(2):  # the second time, the files of the first one are removed
        assert main(["train", "--config", str(ensemble), "--run", str(run), "--smoke"]) == 0, capsys.readouterr().err
    assert not (tmp_path / "real").exists() and not run.exists()
    smoke = tmp_path / "runs" / "best-smoke"
    for name in (".", "start", "member_1", "member_1/start"):
        assert len(read_csv(smoke / name / "history.csv")) == 1, name
    assert (smoke / "report" / "index.html").exists()
    RunDirectory(smoke).clear()
    assert {path.name for path in smoke.rglob("*") if path.is_file()} == {".lock", "test_readings.jsonl"}
