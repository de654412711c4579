"""A training that begins where another one ended, which is trained first when it is not there."""

import json
import shutil

import keras
import numpy as np
import pytest
import yaml

from capsmith.config import load_config
from capsmith.core.errors import CheckpointError, ConfigError, MissingExtraError
from capsmith.core.scopes import Use, difference
from capsmith.evaluation.evaluate import evaluate
from capsmith.models.captioner import Captioner
from capsmith.training import fit
from capsmith.training.fit import train
from capsmith.training.history import read_csv
from capsmith.training.warm_start import first_stage, missing_members
from tests.support import shapes


@pytest.fixture
def config(tmp_path):
    """Self-critical training whose first stage is another file's, with another seed and another place of data."""
    first = shapes.settings(seed=9, data={"root": "nowhere"}, evaluation={"after_training": None})
    (tmp_path / "first.yaml").write_text(yaml.safe_dump(first))
    further = {
        "objective": "scst",
        "resume_weights_from": str(tmp_path / "start"),
        "stage_one": {"config": str(tmp_path / "first.yaml")},
    }
    changes = {"training": {**further, "epochs": 1, "learning_rate": 1e-4}, "evaluation": {"after_training": None}}
    changes["decoder"] = {"dropout": 0.0}
    return load_config(shapes.settings(**changes))


def test_both_stages_by_one_command(config, tmp_path, log_lines):
    train(config, tmp_path / "run")
    assert sum("first" in line and "first.yaml" in line for line in log_lines) == 1
    assert len(read_csv(tmp_path / "start" / "history.csv")) == 4
    assert "reward" in read_csv(tmp_path / "run" / "history.csv")[0]
    stage = load_config(tmp_path / "start" / "config.yaml")
    assert (stage.seed, stage.data) == (config.seed, config.data)  # not the file's own
    assert first_stage(config) is None  # it is over: not trained again
    changed = (tmp_path / "start" / "model.weights.h5").stat().st_mtime_ns
    train(config, tmp_path / "again")
    assert (tmp_path / "start" / "model.weights.h5").stat().st_mtime_ns == changed
    shutil.rmtree(tmp_path / "start")
    train(config, tmp_path / "run", resume=True)  # it has begun: the first stage is not needed again
    assert not (tmp_path / "start").exists()


def test_a_first_stage_that_is_not_over_is_seen(config, tmp_path):
    stage, start = first_stage(config)
    train(stage.model_copy(update={"training": stage.training.model_copy(update={"epochs": 2})}), start)
    rows = (start / "history.csv").read_text()
    assert first_stage(config) is not None  # two epochs of four
    assert rows == (start / "history.csv").read_text()


def test_a_config_without_a_place_for_it():
    with pytest.raises(ConfigError, match="resume_weights_from"):
        load_config(shapes.settings(training={"stage_one": {"config": "flickr8k.yaml"}}))


def test_an_ensemble_by_one_command(tmp_path):
    """Two members that are not there are trained with their own seeds, and all three write the report together."""
    other = shapes.settings(seed=9, data={"root": "nowhere"}, training={"epochs": 2})
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(other))
    members = [
        {"run": str(tmp_path / f"member{seed}"), "config": str(tmp_path / "other.yaml"), "set": [f"seed={seed}"]}
        for seed in (11, 12)
    ]
    config = load_config({**shapes.settings(training={"epochs": 2}), "ensemble": members})
    train(config, tmp_path / "run")
    seeds = [load_config(tmp_path / f"member{seed}" / "config.yaml") for seed in (11, 12)]
    assert [one.seed for one in seeds] == [11, 12] and all(one.data == config.data for one in seeds)
    assert not (tmp_path / "member11" / "report").exists()  # scored as a whole, once
    runs = [tmp_path / name for name in ("run", "member11", "member12")]
    together = evaluate(runs, "test", out=tmp_path / "again")
    report = json.loads((tmp_path / "run" / "report" / "scores.json").read_text())
    assert report["scores"]["cider"]["value"] == pytest.approx(together.scores["cider"].value)
    alone = evaluate(runs[0], "test", out=tmp_path / "alone")
    assert any(alone.captions[i].log_probability != c.log_probability for i, c in together.captions.items())
    assert not missing_members(config)


def greener(tmp_path, old="red", new="crimson"):
    """Returns the same data set in a place of its own, one word of its captions replaced by a new one."""
    place = tmp_path / "other"
    shutil.copytree(shapes.data(), place)
    table = place / "captions.csv"
    table.write_text(table.read_text().replace(f" {old} ", f" {new} "))
    return str(place)


@pytest.mark.parametrize("tied", [False, True])
def test_known_words_keep_what_is_theirs(tmp_path, tied, log_lines):
    """Before anything is learned, the grown model says of every old word what the old one says."""
    decoder = {"tie_embeddings": tied}
    train(load_config(shapes.settings(decoder=decoder, training={"epochs": 2})), tmp_path / "old")
    root = greener(tmp_path)
    again = {"epochs": 1, "learning_rate": 1e-12, "ema": None, "transfer_from": str(tmp_path / "old")}
    train(load_config(shapes.settings(decoder=decoder, data={"root": root}, training=again)), tmp_path / "new")
    old, new = (Captioner.load(tmp_path / name) for name in ("old", "new"))
    assert "crimson" in new.vocabulary and "red" not in new.vocabulary
    assert any(line.endswith(f"{len(new.vocabulary) - 1:,} of {len(new.vocabulary):,} words") for line in log_lines)
    features = np.random.default_rng(0).normal(size=(3, *old.feature_shape)).astype("float32")
    words = [word for word in old.vocabulary.words if word in new.vocabulary]
    logits = []
    for one in (old, new):
        tokens = np.array([one.vocabulary.encode(["on", "the", "left"])] * 3, np.int32)
        found = keras.ops.convert_to_numpy(one.model.decoder(features, tokens))
        logits.append(found[..., one.vocabulary.encode(words)])
    np.testing.assert_allclose(logits[0], logits[1], atol=1e-4)


def test_it_learns_faster_than_from_nothing(tmp_path):
    """One word is new, all else is known: an epoch suffices."""
    run, root, losses = shapes.trained(), greener(tmp_path), {}
    model = {"encoder": load_config(run / "config.yaml").encoders[0].model_dump(mode="json"), "decoder": {"units": 64}}
    for name, init in (("nothing", None), ("known", str(run))):
        changed = shapes.settings(data={"root": root}, training={"epochs": 1, "transfer_from": init}, **model)
        train(load_config(changed), tmp_path / name)
        losses[name] = read_csv(tmp_path / name / "history.csv")[0]["loss"]
    assert losses["known"] < 0.5 * losses["nothing"]


def test_of_another_model_nothing_is_taken(tmp_path):
    train(load_config(shapes.settings(training={"epochs": 1})), tmp_path / "old")
    init = {"epochs": 1, "transfer_from": str(tmp_path / "old")}
    for changes, says in (
        ({"decoder": {"units": 9}}, r"training.transfer_from: .* is of another model \(decoder.units: .*, now 9\)"),
        ({"text": {"mode": "char"}}, r"another model \(text.mode: word, now char\)"),
    ):
        with pytest.raises(CheckpointError, match=says):
            train(load_config(shapes.settings(training=init, **changes)), tmp_path / "new")
    with pytest.raises(CheckpointError, match="nowhere"):
        train(load_config(shapes.settings(training={"transfer_from": str(tmp_path / "nowhere")})), tmp_path / "b")
    with pytest.raises(ConfigError, match="transfer_from.*resume_weights_from"):
        load_config(shapes.settings(training={"transfer_from": "a", "resume_weights_from": "b"}))


def staged(tmp_path, **changes):
    """A config that fine-tunes its encoder, after a first stage whose own file leaves it frozen."""
    first = shapes.settings(seed=9, data={"root": "nowhere"}, evaluation={"after_training": None})
    (tmp_path / "first.yaml").write_text(yaml.safe_dump(first))
    stage_one = {"config": str(tmp_path / "first.yaml"), "set": ["training.epochs=1"]}
    training = {
        "resume_weights_from": str(tmp_path / "start"),
        "stage_one": stage_one,
        "epochs": 1,
        "learning_rate": 1e-3,
        **changes,
    }
    encoder = {"trainable": True, "lr_multiplier": 0.5}
    return load_config(shapes.settings(encoder=encoder, training=training, evaluation={"after_training": None}))


def test_frozen_first_then_fine_tuned_by_one_command(tmp_path):
    train(staged(tmp_path), tmp_path / "run")
    start, run = (load_config(tmp_path / name / "config.yaml") for name in ("start", "run"))
    assert not start.trains_encoder and run.trains_encoder and run.encoders[0].lr_multiplier == 0.5
    assert start.encoders[0].image_size == run.encoders[0].image_size and start.seed == run.seed
    assert (
        start.training.epochs == 1 == len(read_csv(tmp_path / "start" / "history.csv"))
    )  # stage_one.set, not the file's 4


def test_what_goes_wrong_in_a_first_stage_says_so(tmp_path, monkeypatch):
    """Whatever kind of mistake it is: a missing package's has another form than the rest."""

    def lacking(*args, **kwargs):
        raise MissingExtraError("tokenizers", "text", "text.mode: subword")

    monkeypatch.setattr(fit, "read_corpus", lacking)
    with pytest.raises(MissingExtraError, match="the first stage, .* training.stage_one.set changes: .* pip install"):
        train(staged(tmp_path), tmp_path / "run")


def test_the_shipped_config_has_such_a_first_stage(tmp_path):
    config = load_config(
        "flickr8k_finetune.yaml", ["data.root=elsewhere", f"training.resume_weights_from={tmp_path / 'start'}"]
    )
    stage, _ = first_stage(config)
    assert (config.encoders[0].trainable, stage.encoders[0].trainable) == ("last_block", False)
    assert stage.encoders[0].pretrain_on_words is None and stage.data.root == config.data.root
    assert not difference(stage, config, Use.LOAD_WEIGHTS)  # the weights will fit
    assert stage.training.augment is None and load_config(stage.model_dump(mode="json")) == stage


def test_changes_of_no_first_stage():
    with pytest.raises(ConfigError, match="training.stage_one.config"):
        load_config(shapes.settings(training={"resume_weights_from": "a", "stage_one": {"set": ["seed=2"]}}))


def test_other_words_are_sent_to_init(tmp_path):
    train(load_config(shapes.settings(training={"epochs": 1})), tmp_path / "old")
    begun = {"epochs": 1, "resume_weights_from": str(tmp_path / "old")}
    with pytest.raises(CheckpointError, match=r"resume_weights_from.*vocabulary.*transfer_from"):
        changed = shapes.settings(data={"root": greener(tmp_path)}, training=begun)
        train(load_config(changed), tmp_path / "new")
