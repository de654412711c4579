import json
from pathlib import Path

import pytest
import yaml

from capsmith.cli import main
from capsmith.cli.options import default_run
from capsmith.config import load_config
from capsmith.training import fit
from tests.support import shapes


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "shapes.yaml"
    path.write_text(yaml.safe_dump(shapes.settings(text={"max_length": 7})))
    return path


@pytest.fixture
def called(monkeypatch):
    """Replaces the training; returns the arguments it was called with."""
    calls = []
    monkeypatch.setattr(fit, "train", lambda config, run, resume=False: calls.append((config, run, resume)))
    return calls


def test_the_default_run_is_named_after_the_config():
    assert default_run("flickr8k.yaml") == default_run("configs/flickr8k.yaml") == Path("runs/flickr8k")


def test_passes_its_arguments_on(config, called, tmp_path, capsys):
    run = tmp_path / "here"
    assert main(["train", "--config", str(config), "--run", str(run), "--resume", "--set", "seed=7"]) == 0
    assert main(["train", "--config", str(config)]) == 0
    assert called[0] == (load_config(config, ["seed=7"]), run, True)
    assert called[1] == (load_config(config), Path("runs/shapes"), False)
    assert capsys.readouterr().out == f"{run}\nruns/shapes\n"


def test_a_smoke_run_is_small_and_beside_the_run(config, called, tmp_path):
    assert main(["train", "--config", str(config), "--run", str(tmp_path / "run"), "--smoke"]) == 0
    made, run, resume = called[0]
    assert (made.data.limit, made.training.epochs, made.text.min_count) == (48, 1, 1)
    assert (run, resume) == (tmp_path / "run-smoke", False)


def test_a_smoke_run_of_the_current_folder(config, called, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--config", str(config), "--run", ".", "--smoke"]) == 0
    assert called[0][1] == tmp_path.with_name(tmp_path.name + "-smoke")


def test_smoke_removes_only_runs(config, called, tmp_path, capsys):
    precious = tmp_path / "data-smoke" / "precious.txt"
    precious.parent.mkdir()
    precious.write_text("x")
    assert main(["train", "--config", str(config), "--run", str(tmp_path / "data"), "--smoke"]) == 2
    assert "--smoke" in capsys.readouterr().err
    assert precious.exists()
    assert not called


def test_a_smoke_run_trains_saves_and_evaluates(config, tmp_path, capsys):
    run = tmp_path / "run-smoke"
    run.mkdir()
    for name in ("config.yaml", "versions.json", "state.npz"):  # left by an earlier smoke run
        (run / name).write_text("")
    assert main(["train", "--config", str(config), "--run", str(tmp_path / "run"), "--smoke"]) == 0
    assert capsys.readouterr().out == f"{run}\n"
    assert json.loads((run / "report" / "scores.json").read_text())["images"] == 24
    assert {"model.weights.h5", "history.csv", "history.png", "log.txt"} <= {path.name for path in run.iterdir()}
