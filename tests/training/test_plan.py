"""The trainings that a config needs: stage one, ensemble members, its own; each is trained once."""

import json
import shutil

import pytest
import yaml

from capsmith.config import load_config
from capsmith.core.errors import CapsmithError, ConfigError, MissingExtraError
from capsmith.core.scopes import Use, difference
from capsmith.evaluation.kinds import evaluate
from capsmith.models.run import RunDirectory
from capsmith.training import captioning, fit
from capsmith.training.fit import train
from capsmith.training.history import read_csv
from capsmith.training.plan import is_finished, stage_one, training_plan
from tests.support import shapes

NO_REPORT = {"after_training": None}


def runs_of(config, run):
    return [training.run.path.name for training in training_plan(config, RunDirectory(run))]


@pytest.fixture
def first(tmp_path):
    """The config file of a stage one, with another seed and another dataset."""
    values = shapes.settings(seed=9, data={"root": "nowhere"}, evaluation=NO_REPORT)
    (tmp_path / "first.yaml").write_text(yaml.safe_dump(values))
    return str(tmp_path / "first.yaml")


@pytest.fixture
def config(tmp_path, first):
    """Self-critical training after a stage one."""
    training = {
        "objective": "scst",
        "resume_weights_from": str(tmp_path / "start"),
        "stage_one": {"config": first},
        "epochs": 1,
        "learning_rate": 1e-4,
    }
    return load_config(shapes.settings(training=training, decoder={"dropout": 0.0}, evaluation=NO_REPORT))


def staged(tmp_path, first, **changes):
    """A config that fine-tunes its encoder, after a stage one whose own file leaves it frozen."""
    stage = {"config": first, "set": ["training.epochs=1"]}
    training = {"resume_weights_from": str(tmp_path / "start"), "stage_one": stage, "epochs": 1, "learning_rate": 1e-3}
    encoder = {"trainable": True, "lr_multiplier": 0.5}
    return load_config(shapes.settings(encoder=encoder, training=training | changes, evaluation=NO_REPORT))


def test_both_stages_are_trained_by_one_command(config, tmp_path, log_lines):
    assert runs_of(config, tmp_path / "run") == ["start", "run"]
    train(config, tmp_path / "run")
    assert sum("first.yaml" in line for line in log_lines) == 1
    assert len(read_csv(tmp_path / "start" / "history.csv")) == 4
    assert "reward" in read_csv(tmp_path / "run" / "history.csv")[0]
    stage = load_config(tmp_path / "start" / "config.yaml")
    assert (stage.seed, stage.data) == (config.seed, config.data)  # not the file's own
    assert (tmp_path / "start" / ".lock").exists()
    assert runs_of(config, tmp_path / "again") == ["again"]
    changed = (tmp_path / "start" / "model.weights.h5").stat().st_mtime_ns
    train(config, tmp_path / "again")
    assert (tmp_path / "start" / "model.weights.h5").stat().st_mtime_ns == changed
    shutil.rmtree(tmp_path / "start")
    train(config, tmp_path / "run", resume=True)  # training has begun, so stage one is not required any more
    assert not (tmp_path / "start").exists()


def test_an_unfinished_stage_one_is_in_the_plan(config, tmp_path):
    (stage,) = stage_one(config)
    shorter = stage.config.training.model_copy(update={"epochs": 2})
    train(stage.config.model_copy(update={"training": shorter}), stage.run.path)
    rows = stage.run.history.read_text()
    assert not is_finished(stage)  # two epochs of four
    assert runs_of(config, tmp_path / "run") == ["start", "run"]
    assert rows == stage.run.history.read_text()


def test_stage_one_requires_a_run():
    with pytest.raises(ConfigError, match="resume_weights_from"):
        load_config(shapes.settings(training={"stage_one": {"config": "flickr8k.yaml"}}))
    with pytest.raises(ConfigError, match="training.stage_one.config"):
        load_config(shapes.settings(training={"resume_weights_from": "a", "stage_one": {"set": ["seed=2"]}}))


def test_frozen_first_then_fine_tuned(tmp_path, first):
    train(staged(tmp_path, first), tmp_path / "run")
    start, run = (load_config(tmp_path / name / "config.yaml") for name in ("start", "run"))
    assert not start.trains_encoder and run.trains_encoder and run.encoders[0].lr_multiplier == 0.5
    assert start.encoders[0].image_size == run.encoders[0].image_size and start.seed == run.seed
    assert start.training.epochs == 1 == len(read_csv(tmp_path / "start" / "history.csv"))  # stage_one.set


@pytest.mark.parametrize("error", [CapsmithError("no memory"), MissingExtraError("tokenizers", "text", "a tokeniser")])
def test_an_error_in_stage_one_names_it(tmp_path, first, monkeypatch, error):
    def fails(*args, **kwargs):
        raise error

    monkeypatch.setattr(captioning, "make_vocabulary", fails)
    with pytest.raises(
        CapsmithError, match=f"stage one.*training.stage_one.set.*{error}".replace("[", r"\[")
    ) as raised:
        train(staged(tmp_path, first), tmp_path / "run")
    assert raised.value.__cause__ is error
    assert not (tmp_path / "run").exists() and not (tmp_path / "start").exists()


def test_a_missing_split_is_found_before_stage_one(tmp_path, first, monkeypatch):
    config = staged(tmp_path, first)
    config = config.model_copy(update={"evaluation": config.evaluation.model_copy(update={"after_training": "test"})})
    original = fit.read_corpus

    def without_test(*sections):
        corpus = original(*sections)
        records = tuple(record for record in corpus.records if record.split != "test")
        return type(corpus)(records, corpus.problems)

    monkeypatch.setattr(fit, "read_corpus", without_test)
    with pytest.raises(CapsmithError, match="test split"):
        train(config, tmp_path / "run")
    assert not (tmp_path / "start").exists()


def test_the_shipped_config_has_such_a_stage_one(tmp_path):
    overrides = ["data.root=elsewhere", f"training.resume_weights_from={tmp_path / 'start'}"]
    config = load_config("flickr8k_finetune.yaml", overrides)
    stage = stage_one(config)[0].config
    assert (config.encoders[0].trainable, stage.encoders[0].trainable) == ("last_block", False)
    assert stage.encoders[0].pretrain_on_words is None and stage.data.root == config.data.root
    assert not difference(stage, config, Use.LOAD_WEIGHTS)  # the weights will fit
    assert stage.training.augment is None and load_config(stage.model_dump(mode="json")) == stage


def test_the_plan_of_the_best_model(tmp_path, monkeypatch):
    """Four captioners in two trainings of two stages; a run that is a stage one and a member is trained once."""
    monkeypatch.chdir(tmp_path)
    plan = training_plan(load_config("flickr8k_best.yaml"), RunDirectory(tmp_path / "runs/flickr8k_best"))
    assert [training.run.path.name for training in plan] == [
        "flickr8k_attention",
        "flickr8k_attention_3",
        "flickr8k_scst_3",
        "flickr8k_best",
    ]
    assert [training.config.seed for training in plan] == [1, 3, 3, 1]
    assert [training.config.training.objective for training in plan] == [
        "cross_entropy",
        "cross_entropy",
        "scst",
        "scst",
    ]


def test_a_training_that_needs_itself_is_refused(tmp_path):
    path = tmp_path / "loop.yaml"
    training = {"resume_weights_from": str(tmp_path / "start"), "stage_one": {"config": str(path)}}
    path.write_text(yaml.safe_dump(shapes.settings(training=training)))
    with pytest.raises(ConfigError, match="needs itself.*stage one"):
        training_plan(load_config(path), RunDirectory(tmp_path / "run"))


def test_an_ensemble_by_one_command(tmp_path):
    """Two missing members are trained with their own seeds, and the report is that of all three."""
    other = shapes.settings(seed=9, data={"root": "nowhere"}, training={"epochs": 2})
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(other))
    members = [
        {"run": str(tmp_path / f"member{seed}"), "config": str(tmp_path / "other.yaml"), "set": [f"seed={seed}"]}
        for seed in (11, 12)
    ]
    config = load_config({**shapes.settings(training={"epochs": 2}), "ensemble": members})
    assert runs_of(config, tmp_path / "run") == ["member11", "member12", "run"]
    train(config, tmp_path / "run")
    configs = [load_config(tmp_path / f"member{seed}" / "config.yaml") for seed in (11, 12)]
    assert [one.seed for one in configs] == [11, 12] and all(one.data == config.data for one in configs)
    assert not (tmp_path / "member11" / "report").exists()  # only the ensemble is scored
    runs = [tmp_path / name for name in ("run", "member11", "member12")]
    together = evaluate(runs, "test", out=tmp_path / "again")
    report = json.loads((tmp_path / "run" / "report" / "scores.json").read_text())
    assert report["scores"]["cider"]["value"] == pytest.approx(together.scores["cider"].value)
    alone = evaluate(runs[1], "test", out=tmp_path / "alone")
    assert any(alone.captions[i].log_probability != c.log_probability for i, c in together.captions.items())
    assert runs_of(config, tmp_path / "run") == ["run"]
