"""CHAIR: rates computed by hand, the control, and the place of the metric among the others."""

import json

import pytest

from capsmith.core.errors import ConfigError, DataError
from capsmith.metrics import METRICS, Scorer
from capsmith.metrics.grounding.detections import read_detections
from capsmith.metrics.grounding.hallucination import hallucinated
from capsmith.metrics.human import human_rows
from capsmith.metrics.registry import heading, lower_is_better
from capsmith.metrics.table import table

REFERENCES = {
    "1": ["A dog runs on grass .", "A puppy in a field"],
    "2": ["a man rides a horse", "a cowboy on his pony"],
    "3": ["a skier jumps", "somebody in the snow"],
    "4": ["two people on a bench", "a couple"],
}
CAPTIONS = {
    "1": "a dog catches a frisbee",  # dog; frisbee is hallucinated: 1 of 2
    "2": "a woman on a horse near a car and a truck",  # car and truck: 2 of 4
    "3": "a man on skis with a dog",  # skis are implied by "skier": 1 of 3
    "4": "nothing here",  # names no object: 0 of 0
}


def scores(captions, references=REFERENCES, detections=None):
    return Scorer(references, ["hallucination"], detections=detections).score(captions)


def test_rates_by_hand():
    found = scores(CAPTIONS)
    assert list(found) == ["chair_i", "chair_s"]
    assert found["chair_i"].value == pytest.approx(4 / 9)
    assert found["chair_s"].value == pytest.approx(3 / 4)
    assert list(found["chair_i"].per_image.values()) == pytest.approx([1 / 2, 2 / 4, 1 / 3, 0])
    assert list(found["chair_s"].per_image.values()) == [1, 1, 1, 0]


def test_repeated_mentions_count_each():
    assert scores({**CAPTIONS, "1": "a cat , a cat and a dog"})["chair_i"].value == pytest.approx(5 / 10)


def test_references_of_the_image_itself_are_never_hallucinated():
    assert scores({key: group[0] for key, group in REFERENCES.items()})["chair_i"].value == 0


def test_the_control_of_other_images_is_higher():
    """Captions that are right where they belong are hallucinated elsewhere."""
    right = {"1": "a dog", "2": "a horse", "3": "skis", "4": "a bench"}
    other = dict(zip(right, ["a horse", "skis", "a bench", "a dog"], strict=True))
    assert scores(right)["chair_i"].value == 0
    assert scores(other)["chair_i"].value == 1


def test_a_word_of_several_classes_is_confirmed_by_either():
    assert [one.label for one in hallucinated("a bike and a bag", frozenset({"motorcycle"}))] == ["handbag"]
    references = {"1": ["a motorcycle"], "2": ["a bicycle"], "3": ["a boat"]}
    assert scores({"1": "a bike", "2": "a bike", "3": "a bike"}, references)["chair_i"].value == pytest.approx(1 / 3)


@pytest.fixture
def detections(tmp_path):
    lines = [
        {"image": "1", "objects": [{"label": "frisbee", "score": 0.6}]},
        {"image": "2", "objects": [{"label": "car", "score": 0.9}, {"label": "truck", "score": 0.3}]},
    ]
    path = tmp_path / "found.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def test_detections_are_a_second_truth(detections):
    assert scores(CAPTIONS, detections=read_detections(detections))["chair_i"].value == pytest.approx(1 / 9)
    sure = scores(CAPTIONS, detections=read_detections(detections, 0.5))
    assert sure["chair_i"].value == pytest.approx(2 / 9)
    assert sure["chair_s"].value == pytest.approx(2 / 4)


def test_signatures_say_what_was_true(detections):
    assert "|objects:coco80.1|truth:references|" in scores(CAPTIONS)["chair_i"].signature
    signature = scores(CAPTIONS, detections=read_detections(detections, 0.5))["chair_s"].signature
    assert "|truth:references+detections." in signature and ",0.5|detected:2/4|" in signature


def test_people_are_measured_without_their_own_reference():
    references = {"1": ["a dog", "a dog and a cat"], "2": ["a man", "a man"]}
    first, second = human_rows(Scorer(references, ["hallucination"]))
    assert first["chair_i"].value == 0
    assert second["chair_i"].value == pytest.approx(1 / 3)


def test_people_keep_the_detections(tmp_path):
    path = tmp_path / "found.json"
    path.write_text(json.dumps([{"image_id": 1, "category_id": 17, "score": 0.9}]))
    references = {"1": ["a dog", "a dog and a cat"], "2": ["a man", "a man"]}
    rows = human_rows(Scorer(references, ["hallucination"], detections=read_detections(path)))
    assert [row["chair_i"].value for row in rows] == [0, 0]


def test_an_interval_of_rates():
    low, high = scores(CAPTIONS)["chair_i"].interval
    assert 0 <= low < 4 / 9 < high <= 1


def test_references_without_english_objects_are_refused():
    with pytest.raises(DataError):
        scores({"1": "ein Hund"}, {"1": ["ein Hund läuft"]})


def test_the_two_scores_are_one_metric():
    assert [metric.name for metric in METRICS["hallucination"].metrics] == ["chair_i", "chair_s"]
    assert Scorer(REFERENCES, ["CHAIRi"]).names == ["chair_i"]
    assert lower_is_better("chair_s") and not lower_is_better("cider") and not lower_is_better("r@1")
    assert heading("chair_i") in table(scores(CAPTIONS)) and heading("cider") == "CIDEr"


@pytest.mark.parametrize("metric", ["hallucination", "chair_i", "chair_s"])
def test_it_selects_no_epoch(metric):
    from capsmith.config import load_config

    with pytest.raises(ConfigError, match=r"training\.metric"):
        load_config("quickstart.yaml", [f"training.metric={metric}"])
