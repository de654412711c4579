"""A training that is killed repeatedly ends with the same numbers as an uninterrupted one."""

import json
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from capsmith.config import load_config, save_config
from capsmith.core.errors import CheckpointError
from capsmith.data.batches import Batches
from capsmith.data.records import read_dataset
from capsmith.training.fit import train
from capsmith.training.history import read_csv
from tests.support import dying, shapes

DROPPING = {"units": 16, "dropout": 0.4}


FROZEN = {"decoder": DROPPING, "training": {"epochs": 5, "metric": "bleu1", "shuffle_window": 32}}


LEARNING = {  # with trainable batch norm, on a few small batches
    "encoder": {"trainable": True},
    "decoder": DROPPING,
    "data": {"limit": 24},
    "training": {"epochs": 3, "schedule": "plateau", "warmup": 0, "optimizer": "adamw"},
}


ALWAYS = {**FROZEN, "training": {**FROZEN["training"], "checkpoint_every": 0}}  # saved after every batch


CHAINS = {  # epoch and moment of each kill
    "frozen": (FROZEN, [(2, "batch"), (0, "weights"), (5, "state")]),
    "learning": (LEARNING, [(2, "writing")]),
    "within": (ALWAYS, [(1, "batch"), (1, "state"), (3, "batch"), (5, "writing")]),
}


def config_of(changes):
    return load_config(shapes.settings(text={"max_length": 7}, **changes))


def killed(run, changes, moments):
    """Kills a training at each moment and resumes it, as ``capsmith train --resume`` does."""
    run.mkdir()
    save_config(config_of(changes), run / "given.yaml")
    for epoch, moment in moments:
        script = dying.__file__
        done = subprocess.run(
            [sys.executable, str(script), str(run / "given.yaml"), str(run), str(epoch), moment],
            capture_output=True,
            text=True,
            timeout=500,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    return run


@pytest.fixture(scope="module")
def chains(tmp_path_factory):
    """Runs all kills in parallel in other processes, while this one trains undisturbed."""
    folder = tmp_path_factory.mktemp("killed")
    shapes.settings()  # draws the data once
    with ThreadPoolExecutor() as pool:
        yield {name: pool.submit(killed, folder / name, *chain) for name, chain in CHAINS.items()}


@pytest.fixture(scope="module")
def frozen(chains, tmp_path_factory):
    run = tmp_path_factory.mktemp("frozen") / "run"
    return train(config_of(FROZEN), run), run


def go_on(run, changes):
    return train(config_of(changes), run, resume=True)


def assert_same_captions(one, other):
    images = [record.path for record in read_dataset(one.config.data).split("test")]
    for left, right in zip(one.caption(images), other.caption(images), strict=True):
        assert left.text == right.text
        assert left.log_probability == pytest.approx(right.log_probability, abs=1e-4)


def predictions(run):
    lines = (run / "report/predictions.jsonl").read_text().splitlines()
    return {line["image"]: line["caption"] for line in map(json.loads, lines)}


def assert_same_history(one, other):
    rows = [read_csv(run / "history.csv") for run in (one, other)]
    assert len(rows[0]) == len(rows[1]) > 0
    for left, right in zip(*rows, strict=True):
        assert left.keys() == right.keys()
        for key in left.keys() - {"seconds"}:
            assert left[key] == pytest.approx(right[key], abs=1e-6), key


def assert_same_state(one, other):
    """Compares all weights, moments and statistics."""
    with np.load(one / "state.npz") as left, np.load(other / "state.npz") as right:
        assert set(left.files) == set(right.files)
        for name in set(left.files) - {"progress"}:
            np.testing.assert_allclose(left[name], right[name], atol=1e-5, err_msg=name)


def test_killed_at_any_moment_it_ends_the_same(chains, frozen):
    captioner, run = frozen
    resumed = chains["frozen"].result()
    again = go_on(resumed, FROZEN)
    log = (resumed / "log.txt").read_text()
    assert log.count("resuming after epoch") == 3
    assert "resuming after epoch 5\n" in log  # only history.csv and the report were still to be written
    assert_same_history(run, resumed)
    assert_same_state(run, resumed)
    assert_same_captions(captioner, again)
    assert predictions(run) == predictions(resumed)


def test_killed_within_an_epoch_it_resumes_within(chains, frozen):
    """The state of each batch is saved, so no batch is repeated."""
    captioner, run = frozen
    resumed = chains["within"].result()
    again = go_on(resumed, ALWAYS)
    log = (resumed / "log.txt").read_text()
    batches = re.findall(r"resuming after epoch (\d) and (\d+) batches\n", log)
    half = next(int(n) for epoch, n in batches if epoch == "0")
    assert half > 1 and ("2", str(half)) in batches, log
    assert_same_history(run, resumed)
    assert_same_state(run, resumed)
    assert_same_captions(captioner, again)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_after_the_batch(frozen, tmp_path, monkeypatch, number):
    def asked(self, index, original=Batches.load):
        if (self.epoch, index) == (1, 1):
            os.kill(os.getpid(), number)
        return original(self, index)

    before, run = signal.getsignal(number), tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt) as stopped:
        patch.setattr(Batches, "load", asked)
        train(config_of(FROZEN), run)
    assert stopped.value.args == (number,) and signal.getsignal(number) is before
    *_, noted, last = (run / "log.txt").read_text().splitlines()
    assert noted.startswith(f"{number.name}: finishing the batch and saving")
    assert re.fullmatch(r"interrupted after epoch 1( and [12] batches)?; everything is saved in .*", last)
    go_on(run, FROZEN)
    assert_same_history(frozen[1], run)
    assert_same_state(frozen[1], run)


def test_two_processes_do_not_train_into_one_run(frozen):
    script = "import sys, fcntl; f = open(sys.argv[1], 'a'); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(frozen[1] / ".lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        other.stdout.readline()
        with pytest.raises(CheckpointError, match="another process .*run"):
            go_on(frozen[1], FROZEN)
        other.kill()  # it cannot release the lock itself
        other.wait()
    assert go_on(frozen[1], FROZEN)


def test_another_seed_ends_elsewhere(frozen, tmp_path):
    train(config_of({**FROZEN, "seed": 2, "training": {"epochs": 1}}), tmp_path / "run")
    losses = [read_csv(run / "history.csv")[0]["loss"] for run in (frozen[1], tmp_path / "run")]
    assert abs(losses[0] - losses[1]) > 1e-3


def test_a_trained_encoder_is_resumed_too(chains, tmp_path):
    captioner = train(config_of(LEARNING), tmp_path / "run")
    resumed = chains["learning"].result()
    again = go_on(resumed, LEARNING)
    assert "resuming after epoch 1\n" in (resumed / "log.txt").read_text()
    assert_same_history(tmp_path / "run", resumed)
    assert_same_state(tmp_path / "run", resumed)
    assert_same_captions(captioner, again)
    statistics = [v for v in captioner.model.non_trainable_variables if "moving_mean" in v.path]
    assert len(statistics) == 5
    assert all(np.abs(np.asarray(v)).max() > 0 for v in statistics)  # they were updated
