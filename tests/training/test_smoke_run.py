"""The training on drawn images that `capsmith doctor` runs: it learns, or reports that it did not."""

import csv
from types import SimpleNamespace

import pytest

from capsmith.core.errors import CapsmithError
from capsmith.training import smoke_run
from capsmith.training.smoke_run import SmokeResult, smoke_train


def test_held_out_images_are_not_in_training(tmp_path):
    held_out = smoke_run._draw(tmp_path)
    with (tmp_path / "captions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    captions = {row["image"]: row["caption"] for row in rows if row["split"] == "test"}
    assert {path.name: caption for path, caption in held_out} == captions and held_out[0][1] == "a red ball"
    assert set(captions.values()) == {row["caption"] for row in rows if row["split"] == "train"}
    files = [(tmp_path / "images" / row["image"]).read_bytes() for row in rows]
    assert len(set(files)) > 0.99 * len(files)  # almost all images differ


def test_held_out_images_are_captioned():
    result = smoke_train(seconds=0)
    assert result.passed and result.caption == "a red ball" and (result.rounds, result.held_out) == (1, 24)
    assert result.captions_per_second > 10 and result.images_per_second > 1


def test_a_model_that_has_hardly_learned_does_not_pass(monkeypatch):
    monkeypatch.setattr(smoke_run, "_EPOCHS", 1)
    monkeypatch.setitem(smoke_run._SPLITS, "train", 4)
    result = smoke_train(seconds=0)
    assert not result.passed and result.rounds == 1


@pytest.mark.parametrize(("seconds", "passes_after", "rounds"), [(60, 3, 3), (0, 3, 1), (60, 1, 1)])
def test_rounds_continue_until_it_passes_or_time_is_up(monkeypatch, seconds, passes_after, rounds):
    trainings = []
    monkeypatch.setattr(
        smoke_run, "train", lambda config, run: trainings.append((config.training.resume_weights_from, run))
    )
    monkeypatch.setattr(
        smoke_run, "_result", lambda *args: SmokeResult("", 24 * (args[3] >= passes_after), 24, args[3], 1, 1)
    )
    result = smoke_train(seconds)
    assert result.rounds == len(trainings) == rounds and result.passed is (rounds == passes_after)
    assert [start for start, _ in trainings] == [None, *(run for _, run in trainings[:-1])]


def test_another_caption_of_the_loaded_model_is_an_error(monkeypatch, tmp_path):
    def captioner(text):
        return SimpleNamespace(caption=lambda path: SimpleNamespace(text=text))

    monkeypatch.setattr(smoke_run.Captioner, "load", lambda run: captioner("a blue bar"))
    with pytest.raises(CapsmithError, match="a red ball.*a blue bar"):
        smoke_run._result(captioner("a red ball"), tmp_path, [(tmp_path / "x.png", "a red ball")], 1)
