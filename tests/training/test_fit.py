"""Training, in one process: what it writes, refuses and reports. Interruptions are in test_resume."""

import csv
import json
import re
import shutil

import keras
import numpy as np
import pytest

from capsmith import Captioner, evaluate
from capsmith.config import load_config
from capsmith.core.errors import CapsmithError, CheckpointError, DataError
from capsmith.data.batches import Batches
from capsmith.data.records import Record
from capsmith.data.sources import PlainSource
from capsmith.data.text.vocabulary import UNK, Vocabulary
from capsmith.training import loop as epochs
from capsmith.training.fit import train
from capsmith.training.history import read_csv
from capsmith.training.setup import examples
from tests.support import shapes
from tests.support.logs import on_log
from tests.support.prepared import prepare_splits

SHORT = {
    "text": {"max_length": 7},
    "training": {"epochs": 1, "learning_rate": 1e-9, "warmup": 0},
    "decoder": {"dropout": 0.0},
    "evaluation": {"after_training": None},
}


def settings(**sections):
    """The shortest training: one epoch in which next to nothing is learned, without a test at its end."""
    return shapes.settings(**{**SHORT, **{name: {**SHORT.get(name, {}), **s} for name, s in sections.items()}})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    run = tmp_path_factory.mktemp("fit") / "run"
    return train(load_config(settings()), run), run


@pytest.fixture
def run(trained, tmp_path):
    """Returns a copy of the run, to be gone on with."""
    return shutil.copytree(trained[1], tmp_path / "run")


def test_what_a_run_holds(trained):
    expected = ".lock captioner.json config.yaml domain.npz encoder.json encoder.weights.h5 history.csv history.png "
    expected += "model.weights.h5 state.npz versions.json vocabulary.json"
    assert sorted(path.name for path in trained[1].iterdir()) == expected.split()
    assert load_config(trained[1] / "config.yaml") == load_config(settings())
    versions = json.loads((trained[1] / "versions.json").read_text())
    assert versions["keras"] == keras.__version__
    assert versions["backend"] == keras.backend.backend()


def test_with_a_test_at_its_end_there_is_a_report():
    run = shapes.trained()
    assert {"index.html", "predictions.jsonl", "scores.json"} <= {path.name for path in (run / "report").iterdir()}
    log = (run / "log.txt").read_text()
    for said in ("images 72 train, 24 dev, 24 test", "vocabulary: 18 words from 144", "epoch 20/20", "best epoch"):
        assert said in log


def test_the_loss_is_the_mean_over_words(trained):
    """Computed here over the whole train split, one word after another."""
    captioner, run = trained
    prepared = prepare_splits(captioner.config, "train")
    records = prepared.split("train")
    rows = prepared.source.rows([record.image_id for record in records])
    given = examples(records, captioner.vocabulary, captioner.config, rows)
    batches = Batches(PlainSource(prepared.source), given, 18, seed=9, group_by_image=False)
    total = words = 0
    for inputs, targets in (batches[index] for index in range(len(batches))):
        logits = keras.ops.convert_to_numpy(captioner.model(inputs)).astype(float)
        log_probabilities = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        rows, positions = np.nonzero(targets)
        total -= log_probabilities[rows, positions, targets[rows, positions]].sum()
        words += len(rows)
    assert words == 72 * (6 + 1) + 72 * (7 + 1)
    assert read_csv(run / "history.csv")[0]["loss"] == pytest.approx(total / words, abs=1e-5)


def test_before_learning_the_loss_is_that_of_word_frequencies(trained):
    """The output starts from the frequencies of the train split, so no epoch is spent on learning them."""
    captioner, run = trained
    counts = np.array(captioner.vocabulary.counts, float)
    shares = counts[counts > 0] / counts.sum()
    entropy = -(shares * np.log(shares)).sum()
    assert read_csv(run / "history.csv")[0]["loss"] == pytest.approx(entropy, abs=0.1)
    assert entropy < 0.95 * np.log(len(captioner.vocabulary))


def test_captions_become_examples():
    config = load_config(shapes.settings(text={"max_length": 4}))
    vocabulary = Vocabulary.build([["a", "red", "bar", "here"]])
    captions = ("A red, red bar; a bar!", "...", "a strange bar")
    found = examples(
        [Record("x", None, captions, "train"), Record("y", None, ("!",), "train")], vocabulary, config, [7, 8]
    )
    a, bar, red = vocabulary.encode(["a", "bar", "red"])
    assert [(e.row, e.captions) for e in found] == [(7, ((a, red, red, bar), (a, UNK, bar)))]


def test_the_same_seed_gives_the_same_numbers(trained, tmp_path):
    train(load_config(settings()), tmp_path / "again")
    first, second = (read_csv(run / "history.csv")[0] for run in (trained[1], tmp_path / "again"))
    assert {**first, "seconds": 0} == pytest.approx({**second, "seconds": 0}, abs=1e-9)


def test_a_run_is_not_overwritten(run):
    with pytest.raises(CheckpointError, match="already holds a training: add --resume"):
        train(load_config(settings()), run)


@pytest.mark.parametrize(
    ("section", "value", "said"),
    [
        ("training", {"learning_rate": 0.5}, "training.learning_rate"),
        ("decoder", {"units": 17}, "decoder.units: 16, now 17"),
        ("text", {"max_length": 6}, "text.max_length"),
        ("data", {"limit": 5}, "data.limit"),
        ("encoder", {"image_size": 40}, "encoder.image_size"),
    ],
)
def test_another_config_does_not_go_on(run, section, value, said):
    before = (run / "config.yaml").read_text()
    with pytest.raises(CheckpointError, match="was begun with another config") as caught:
        train(load_config(settings(**{section: value})), run, resume=True)
    assert said in str(caught.value)
    assert (run / "config.yaml").read_text() == before


def test_what_does_not_touch_the_numbers_may_change(run, tmp_path):
    """A moved data set, another cache, other metrics; and what was finished stays as it was."""
    data = shutil.copytree(shapes.data(), tmp_path / "moved")
    before = read_csv(run / "history.csv")
    (run / "history.csv").unlink()  # killed between the state and the history
    weights = (run / "model.weights.h5").read_bytes()
    changes = {"data": {"root": str(data)}, "features": {"cache": str(tmp_path / "cache"), "workers": 1}}
    config = load_config(settings(**changes, evaluation={"metrics": ["rouge"]}))
    train(config, run, resume=True)
    assert read_csv(run / "history.csv") == before
    assert (run / "model.weights.h5").read_bytes() == weights
    assert load_config(run / "config.yaml") == config


def test_resumed_with_other_metrics_it_scores_those_too(tmp_path):
    """The rows of one history may measure different things."""
    sections = {"training": {"epochs": 2}, "evaluation": {"metrics": ["bleu1"]}}
    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt), on_log(interrupt):
        train(load_config(settings(**sections)), run)
    config = load_config(settings(**{**sections, "evaluation": {"metrics": ["bleu1", "rouge"]}}))
    train(config, run, resume=True)
    one, two = read_csv(run / "history.csv")
    assert set(two) - set(one) == {"dev_rouge"}
    assert (one["epoch"], two["epoch"]) == (1, 2)


def interrupt(line):
    """Ctrl-C after the first epoch."""
    if line.startswith("epoch 1/"):
        raise KeyboardInterrupt


def test_ctrl_c_says_what_is_saved(tmp_path, log_lines):
    with pytest.raises(KeyboardInterrupt), on_log(interrupt):
        train(load_config(settings(training={"epochs": 2})), tmp_path / "run")
    assert log_lines[-1] == f"interrupted after epoch 1; everything is saved in {tmp_path / 'run'}"


def edited(tmp_path, edit):
    """Returns a copy of the data with other captions."""
    data = shutil.copytree(shapes.data(), tmp_path / "edited")
    with (data / "captions.csv").open(newline="") as file:
        rows = [edit(row) for row in csv.reader(file)]
    with (data / "captions.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return {"data": {"root": str(data)}}


def test_captions_that_changed_do_not_go_on(run, tmp_path):
    changed = edited(tmp_path, lambda row: [row[0], row[1].replace("a red bar", "a red red bar"), row[2]])
    with pytest.raises(CheckpointError, match="the training captions are no longer those it began with"):
        train(load_config(settings(**changed)), run, resume=True)


@pytest.mark.parametrize("split", ["dev", "test"])
def test_a_missing_split_is_told_before_training(tmp_path, split):
    changed = edited(tmp_path, lambda row: [*row[:2], row[2].replace(split, "train")])
    with pytest.raises(DataError, match=f"the {split} split"):
        train(load_config(settings(**changed, evaluation={"after_training": "test"})), tmp_path / "run")
    assert not (tmp_path / "run" / "state.npz").exists()


def test_a_loss_that_is_no_number_stops(tmp_path):
    wild = settings(training={"learning_rate": 1e38, "clip_norm": None, "epochs": 5})
    calmer = "--set training.learning_rate=2e.37 --set training.clip_norm=5"
    with pytest.raises(
        CapsmithError, match=f"the loss is (nan|inf) in epoch .: train into another --run with {calmer}"
    ):
        train(load_config(wild), tmp_path / "run")


def test_after_a_good_epoch_its_weights_are_what_to_begin_with(tmp_path, monkeypatch):
    """The advice is followed to the letter, and works."""
    changes = settings(training={"epochs": 2, "learning_rate": 1e-3})
    monkeypatch.setattr(epochs, "learner", lambda model: failing_later)
    with pytest.raises(CapsmithError) as stopped:
        train(load_config(changes), tmp_path / "run")
    monkeypatch.undo()
    assert "stage_one" not in str(stopped.value)
    advice = re.findall(r"--set (training\.\w+=[^ )]+)", str(stopped.value))
    assert [change.partition("=")[0] for change in advice] == ["training.learning_rate", "training.resume_weights_from"]
    again = train(load_config(changes, advice), tmp_path / "another")
    assert again.config.training.learning_rate == 2e-4


def failing_later(inputs, targets, taken=[0]):  # noqa: B006
    """Learns nothing; from the second epoch on its loss is no number."""
    taken[0] += 1
    return 1.0 if taken[0] <= 9 else float("nan")


def test_what_was_removed_while_it_trained_is_written_again(tmp_path, log_lines):
    def remove(line):
        if line.startswith("epoch 1/"):
            shutil.rmtree(tmp_path / "run")

    said = log_lines
    config = load_config(settings(training={"epochs": 2}))
    with on_log(remove):
        trained = train(config, tmp_path / "run")
    assert any(
        line.startswith("captioner.json, config.yaml, versions.json, vocabulary.json, encoder.json") for line in said
    ), said
    assert any(line.startswith("model.weights.h5 had been removed") for line in said), said
    assert {path.name for path in (tmp_path / "run").iterdir()} >= {"state.npz", "vocabulary.json", "versions.json"}
    again = train(config, tmp_path / "run", resume=True)
    assert again.vocabulary == trained.vocabulary == Captioner.load(tmp_path / "run").vocabulary


@pytest.mark.parametrize("within", [1, 2])
def test_what_a_sudden_end_loses_is_said(tmp_path, monkeypatch, within, log_lines):
    """As a second Ctrl-C does, which does not wait for the batch."""
    asked, lines = Batches.prepared, log_lines

    def prepared(self, index):
        if (self.epoch, index) == (within - 1, 1):
            raise KeyboardInterrupt
        return asked(self, index)

    monkeypatch.setattr(Batches, "prepared", prepared)
    with pytest.raises(KeyboardInterrupt):
        train(load_config(settings(training={"epochs": 3})), tmp_path / "run")
    held = f"what {tmp_path / 'run'} holds is from after epoch 1"
    assert (
        lines[-1]
        == f"interrupted after epoch {within - 1} and 1 batches; " + [..., "nothing is saved yet", held][within]
    )


def test_memory_that_is_used_up_names_the_batch(tmp_path, monkeypatch):
    def learn(inputs, targets):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes")

    monkeypatch.setattr(epochs, "learner", lambda model: learn)
    with pytest.raises(CapsmithError, match="out of memory: training.batch_size is 16, try 8, or a smaller model"):
        train(load_config(settings(training={"batch_size": 16})), tmp_path / "run")


def test_patience_ends_the_training(tmp_path):
    """At a rate of next to nothing no epoch is better than the first."""
    train(load_config(settings(training={"epochs": 9, "patience": 2})), tmp_path / "run")
    assert len(read_csv(tmp_path / "run" / "history.csv")) == 3


def test_leftovers_of_a_training_that_saved_no_state_do_not_matter(run):
    (run / "state.npz").unlink()
    (run / "model.weights.h5").write_bytes(b"half")
    captioner = train(load_config(settings()), run)
    path = shapes.data() / "images" / "red_bar_left_3.png"
    assert Captioner.load(run).caption(path) == captioner.caption(path)


def test_weights_decay_with_adamw(trained, tmp_path):
    """By rate × decay a step: six steps of five percent."""
    sections = {"optimizer": "adamw", "learning_rate": 1e-3, "weight_decay": 50.0, "schedule": "constant"}
    captioner = train(load_config(settings(training=sections)), tmp_path / "run")
    norms = [
        np.linalg.norm(keras.ops.convert_to_numpy(made.model.decoder.output_layer.kernel))
        for made in (captioner, trained[0])
    ]
    assert norms[0] / norms[1] == pytest.approx(0.95**6, abs=0.03)


def test_a_running_mean_is_what_is_scored_and_kept(tmp_path):
    """The kept weights are neither the last ones nor the first, and score on dev what the history says."""
    training = {"epochs": 3, "learning_rate": 0.01, "ema": 0.9, "metric": "bleu1"}
    made = train(load_config(settings(training=training)), tmp_path / "run")
    rows = read_csv(tmp_path / "run" / "history.csv")
    with np.load(tmp_path / "run" / "state.npz") as state:
        last = [state[name] for name in state.files if name != "progress"]
    kept = [keras.ops.convert_to_numpy(v) for v in made.model.trainable_variables]
    assert all(min(np.abs(k - v).max() if k.shape == v.shape else 9 for v in last[: len(kept)]) > 1e-5 for k in kept)
    changes = ["decoding.type=greedy", "evaluation.metrics=[bleu1]"]
    found = evaluate(tmp_path / "run", "dev", changes).scores["bleu1"].value
    assert found == pytest.approx(max(row["dev_bleu1"] for row in rows), abs=1e-6)


def test_a_training_may_begin_with_another_s_weights(trained, tmp_path):
    before = [keras.ops.convert_to_numpy(v) for v in trained[0].model.trainable_variables]
    config = load_config(settings(training={"resume_weights_from": str(trained[1])}))
    after = train(config, tmp_path / "run").model.trainable_variables
    for one, other in zip(before, after, strict=True):
        np.testing.assert_allclose(one, keras.ops.convert_to_numpy(other), atol=1e-5)  # its rate is next to nothing
    fresh = train(load_config(settings(), ["seed=3"]), tmp_path / "fresh").model.trainable_variables
    assert any(np.abs(one - keras.ops.convert_to_numpy(v)).max() > 1e-2 for one, v in zip(before, fresh, strict=True))


def test_scheduled_sampling_in_bfloat16(tmp_path):
    losses = []
    for precision in ("float32", "bfloat16"):
        training = {"epochs": 2, "learning_rate": 0.01, "scheduled_sampling": 0.9, "precision": precision}
        train(load_config(settings(training=training)), tmp_path / precision)
        losses.append([row["loss"] for row in read_csv(tmp_path / precision / "history.csv")])
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_scheduled_sampling_changes_what_is_read_and_not_what_is_kept(tmp_path):
    training = {"epochs": 2, "learning_rate": 0.01, "scheduled_sampling": 0.9}
    made = train(load_config(settings(training=training)), tmp_path / "run")
    assert float(keras.ops.convert_to_numpy(made.model.mixing)) == pytest.approx(0.9)
    plain = train(load_config(settings(training={**training, "scheduled_sampling": 0})), tmp_path / "plain")
    losses = [read_csv(tmp_path / name / "history.csv") for name in ("run", "plain")]
    assert losses[0][0]["loss"] == pytest.approx(losses[1][0]["loss"], rel=0.05)  # it begins with none
    assert losses[0][1]["loss"] > 1.003 * losses[1][1]["loss"]
    assert Captioner.load(tmp_path / "run").model.mixing is None
    assert [v.path for v in plain.model.decoder.weights] == [v.path for v in made.model.decoder.weights]
