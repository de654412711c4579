"""The benchmark that compares people in captions with people that a detector finds."""

import json

import numpy as np
import pytest
from PIL import Image

from benchmarks import person_recall
from benchmarks.person_recall import chosen, names_person, rates
from tests.support.painted import PaintedDetector, painted


def test_captions_that_name_a_person():
    assert names_person(["A dog runs .", "Two girls watch a dog ."]) and names_person(["A skier in the air ."])
    assert not names_person(["A dog runs .", "A brown horse in a field ."])


def test_rates_by_hand():
    scores, truth = np.array([0.9, 0.5, 0.2, 0.6, 0.1]), np.array([True, True, True, False, False])
    assert rates(scores, truth, 0.5) == pytest.approx({"recall": 2 / 3, "found_without": 1 / 2, "precision": 2 / 3})


def test_the_highest_threshold_with_enough_recall_is_chosen():
    scores, truth = np.linspace(0.1, 0.95, 20), np.ones(20, bool)
    assert rates(scores, truth, chosen(scores, truth))["recall"] == pytest.approx(0.9)
    assert chosen(np.zeros(4), np.ones(4, bool)) == person_recall.LOWEST


def test_the_whole_measurement(tmp_path, monkeypatch, capsys):
    (tmp_path / "Images").mkdir()
    lines = []
    for split in ("train", "dev", "test"):
        names = [f"{split}{number}.jpg" for number in range(6)]
        for number, name in enumerate(names):
            caption, objects = ("A dog .", [("dog", (0, 0, 40, 40))])
            if number < 4:
                caption, objects = "A man .", [("person", (10, 10, 60, 60))]
            image = painted(objects) if number != 3 else Image.new("RGB", (120, 80))  # nobody is found in one of four
            image.save(tmp_path / "Images" / name, "PNG")
            lines.append(f"{name}#0\t{caption}")
        (tmp_path / f"Flickr_8k.{split}Images.txt").write_text("\n".join(names))
    (tmp_path / "Flickr8k.token.txt").write_text("\n".join(lines))
    monkeypatch.setattr(person_recall, "COUNT", 6)
    monkeypatch.setattr(person_recall, "load_detector", lambda model: PaintedDetector())
    out = tmp_path / "figures.json"
    monkeypatch.setattr("sys.argv", ["person_recall", "toy", str(tmp_path), "--write", str(out)])
    assert person_recall.main() == 1  # 3 of 4 is less than what is asked
    figures = json.loads(out.read_text())
    assert {name: row["value"] for name, row in figures.items()} == {
        "detect.person_recall": 0.75,
        "detect.person_precision": 1.0,
        "detect.person_found_without": 0.0,
    }
