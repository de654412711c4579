"""The training on drawn images that `capsmith doctor` tries: it learns, or says that it did not."""

import csv
from types import SimpleNamespace

import pytest

from capsmith.core.errors import CapsmithError
from capsmith.training import smoke_run as trial


def test_held_out_images_are_in_no_training(tmp_path):
    said = trial._draw(tmp_path)
    with (tmp_path / "captions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    held_out = {row["image"]: row["caption"] for row in rows if row["split"] == "test"}
    assert {path.name: caption for path, caption in said} == held_out and said[0][1] == "a red ball"
    assert set(held_out.values()) == {row["caption"] for row in rows if row["split"] == "train"}
    files = [(tmp_path / "images" / row["image"]).read_bytes() for row in rows]
    assert len(set(files)) > 0.99 * len(files)  # hardly any image twice


def test_it_says_what_held_out_images_show():
    found = trial.smoke_train(seconds=0)
    assert found.good and found.said == "a red ball" and (found.rounds, found.held_out) == (1, 24)
    assert found.captions_per_second > 10 and found.images_per_second > 1


def test_what_has_hardly_learned_is_not_good(monkeypatch):
    monkeypatch.setattr(trial, "_EPOCHS", 1)
    monkeypatch.setitem(trial._SPLITS, "train", 4)
    found = trial.smoke_train(seconds=0)
    assert not found.good and found.rounds == 1


@pytest.mark.parametrize(("seconds", "good_after", "rounds"), [(60, 3, 3), (0, 3, 1), (60, 1, 1)])
def test_rounds_go_on_from_each_other_until_it_is_good_or_time_is_up(monkeypatch, seconds, good_after, rounds):
    begun = []
    monkeypatch.setattr(trial, "train", lambda config, run: begun.append((config.training.resume_weights_from, run)))
    monkeypatch.setattr(
        trial, "_judged", lambda *args: trial.Trial("", 24 * (args[3] >= good_after), 24, args[3], 1, 1)
    )
    found = trial.smoke_train(seconds)
    assert found.rounds == len(begun) == rounds and found.good is (rounds == good_after)
    assert [start for start, _ in begun] == [None, *(run for _, run in begun[:-1])]


def test_a_model_that_says_something_else_once_loaded_is_refused(monkeypatch, tmp_path):
    def saying(text):
        return SimpleNamespace(caption=lambda path: SimpleNamespace(text=text))

    monkeypatch.setattr(trial.Captioner, "load", lambda run: saying("a blue bar"))
    with pytest.raises(CapsmithError, match="“a red ball” before it was saved and “a blue bar” after"):
        trial._judged(saying("a red ball"), tmp_path, [(tmp_path / "x.png", "a red ball")], 1)
