"""Nothing depends on the clock or on modification times of files.

Python's and tqdm's clocks are replaced by one that jumps by years at every call, in both directions. Every file gets
another modification time after each save.
"""

import itertools
import os
import random
import sys
import time

import numpy as np
import pytest
import tqdm.std

from capsmith.config import load_config
from capsmith.models.checkpoints import read_progress
from capsmith.training import loop
from capsmith.training.fit import train
from capsmith.training.history import read_csv
from capsmith.vision.config import EncoderConfig, FeaturesConfig
from capsmith.vision.extraction import extract
from capsmith.vision.fingerprint import file_sha256
from capsmith.vision.store import FeatureStore
from tests.support import toy
from tests.support.fake_encoder import FakeEncoder, images_in, install

TIMES = [0, 1, 10**9, 4 * 10**9]  # 1970, 2001, 2096


@pytest.fixture
def jumping(monkeypatch):
    """Makes the clock jump at every call; returns the times so far."""
    looks, rng = [], random.Random(0)

    def now():
        looks.append(rng.uniform(0, 4e9))
        return looks[-1]

    monkeypatch.setattr(time, "time", now)
    monkeypatch.setattr(time, "time_ns", lambda: int(now() * 1e9))
    monkeypatch.setattr(tqdm.std, "time", now)
    return looks


def change_times(*folders):
    """Gives every file and folder a random modification time."""
    rng = random.Random(1)
    paths = [path for folder in folders for path in (folder, *folder.rglob("*"))]
    for path in paths:
        os.utime(path, (rng.choice(TIMES), rng.choice(TIMES)))
    assert len({path.stat().st_mtime for path in paths}) > 1


# --- extraction -------------------------------------------------------------------------------------------------------


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setitem(sys.modules, "capsmith.vision.encoder", None)
    install()
    FakeEncoder.calls = []


def made(images, folder, output="pooled"):
    return extract(images, EncoderConfig(type="small_cnn", output=output), FeaturesConfig(store=folder, batch_size=4))


def numbers(store):
    return store.gather(store.rows(sorted(store.ids)))


@pytest.mark.parametrize("output", ["pooled", "grid"])
def test_extraction_gives_the_same_numbers_when_the_clock_jumps(fake, tmp_path, request, output):
    images = images_in(tmp_path / "p")
    expected = made(images, tmp_path / "quiet", output)
    looks = request.getfixturevalue("jumping")
    assert time.time() != time.time() and len(looks) == 2  # the control: the clock does jump
    store = made(images, tmp_path / "jumping", output)
    assert store.ids == expected.ids
    np.testing.assert_array_equal(numbers(store), numbers(expected))


@pytest.mark.parametrize("output", ["pooled", "grid"])
def test_changed_file_times_do_not_cause_recomputation(fake, tmp_path, output):
    images = images_in(tmp_path / "p")
    before = numbers(made(images, tmp_path / "s", output))
    FakeEncoder.calls = []
    for _ in range(3):
        change_times(tmp_path / "p", tmp_path / "s")
        np.testing.assert_array_equal(numbers(made(images, tmp_path / "s", output)), before)
    assert not FakeEncoder.calls


def test_an_unfinished_extraction_resumes_with_any_file_times(fake, tmp_path, monkeypatch):
    images = images_in(tmp_path / "p")
    expected = numbers(made(images, tmp_path / "whole"))
    encode, budget = FakeEncoder.encode, itertools.count()

    def stop(self, pixels):
        if next(budget) == 3:
            raise KeyboardInterrupt
        return encode(self, pixels)

    monkeypatch.setattr(FakeEncoder, "encode", stop)
    with pytest.raises(KeyboardInterrupt):
        made(images, tmp_path / "s")
    monkeypatch.setattr(FakeEncoder, "encode", encode)
    change_times(tmp_path / "p", tmp_path / "s")
    FakeEncoder.calls = []
    np.testing.assert_array_equal(numbers(made(images, tmp_path / "s")), expected)
    assert len(FakeEncoder.calls) == 3  # of six batches


def test_a_changed_image_with_its_old_time_is_read_again(fake, tmp_path):
    images = images_in(tmp_path / "p")
    made(images, tmp_path / "s")
    path, other = images[2][1], images[20][1]
    old = path.stat()
    path.write_bytes(other.read_bytes())
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    FakeEncoder.calls = []
    store = made(images, tmp_path / "s")
    assert len(FakeEncoder.calls) == 1
    np.testing.assert_array_equal(*store.gather(store.rows([images[2][0], images[20][0]])))


def test_weights_are_identified_by_content_not_by_time(tmp_path):
    path = tmp_path / "mine.weights.h5"
    path.write_bytes(b"one")
    first, stat = file_sha256(path), path.stat()
    for moment in TIMES:
        os.utime(path, (moment, moment))
        assert file_sha256(path) == first
    time.sleep(0.05)  # file systems have a time resolution of some milliseconds
    path.write_bytes(b"two")  # same length and same time as before
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_mtime_ns == stat.st_mtime_ns
    assert file_sha256(path) != first
    other = tmp_path / "other"
    other.write_bytes(b"two")
    assert file_sha256(path) == file_sha256(other)


# --- training ---------------------------------------------------------------------------------------------------------


def config_of(folder):
    values = toy.settings(folder / "data", folder / "cache")
    values["decoder"] |= {"dropout": 0.4}
    values["training"] |= {"epochs": 3, "batch_size": 3, "checkpoint_every": 0, "patience": None, "schedule": "plateau"}
    return load_config(values)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    toy.make_data(folder / "data")
    train(config_of(folder), folder / "run")
    return folder


def assert_same(one, other):
    """Compares history, weights, moments, captions and scores; durations are not negative."""
    for left, right in itertools.zip_longest(read_csv(one / "history.csv"), read_csv(other / "history.csv")):
        assert {key: left[key] for key in left if key != "seconds"} == pytest.approx(
            {key: right[key] for key in right if key != "seconds"}, abs=1e-6
        )
        assert 0 <= right["seconds"] < 600
    with np.load(one / "state.npz") as left, np.load(other / "state.npz") as right:
        assert set(left.files) == set(right.files)
        for name in set(left.files) - {"progress"}:
            np.testing.assert_allclose(left[name], right[name], atol=1e-6, err_msg=name)
    assert read_progress(one / "state.npz").keys() == read_progress(other / "state.npz").keys()
    for name in ("predictions.jsonl", "scores.json"):
        assert (one / "report" / name).read_bytes() == (other / "report" / name).read_bytes()


@pytest.mark.parametrize("stopped", [False, True], ids=["at once", "resumed"])
def test_training_gives_the_same_numbers_when_the_clock_jumps(undisturbed, tmp_path, jumping, monkeypatch, stopped):
    toy.make_data(tmp_path / "data")
    run, save, saves = tmp_path / "run", loop.save_state, itertools.count()

    def save_and_change_times(*args):
        save(*args)
        change_times(tmp_path)
        if stopped and next(saves) in (1, 7, 12):  # within epochs and between them
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save_state", save_and_change_times)
    stops = 0
    while True:
        try:
            train(config_of(tmp_path), run, resume=stops > 0)
            break
        except KeyboardInterrupt:
            stops += 1
            change_times(tmp_path)
    assert stops == 3 * stopped
    stores = [FeatureStore.open(next((folder / "cache").iterdir())) for folder in (undisturbed, tmp_path)]
    np.testing.assert_array_equal(*map(numbers, stores))
    assert_same(undisturbed / "run", run)


def test_another_seed_gives_other_numbers(undisturbed, tmp_path):
    """The control: the comparison above can fail."""
    train(config_of(undisturbed).model_copy(update={"seed": 4}), tmp_path / "run")
    with pytest.raises(AssertionError):
        assert_same(undisturbed / "run", tmp_path / "run")
