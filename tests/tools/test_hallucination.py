"""The table of hallucination rates: kept figures are recomputed from kept captions and detections."""

import csv
from pathlib import Path

import numpy as np
import pytest

from capsmith.metrics import Scorer
from capsmith.metrics.files import read_references
from capsmith.metrics.grounding.detections import read_detections
from tools import paths
from tools.grounded_reranking import Pool, chosen
from tools.hallucination import DETECTIONS, TABLE, THRESHOLD, alike, figures, rows


def test_models_are_measured_against_one_reference_fewer_as_people_are():
    scorer = Scorer({"1": ["a dog", "a cat"], "2": ["a man", "a man"]}, ["hallucination"])
    captions = {"1": ["a dog and a cat"], "2": ["a man"]}
    assert scorer.score(captions)["chair_i"].value == 0
    assert alike(scorer, captions)["chair_i"] == pytest.approx(1 / 3)  # without either reference one is unconfirmed


@pytest.fixture(scope="module")
def kept():
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_people_name_the_fewest_unconfirmed_objects_and_the_control_the_most(kept):
    rates = {line["row"]: float(line["chair_i"]) for line in kept}
    assert min(rates, key=rates.get) == "people" and max(rates, key=rates.get) == "control"
    names = figures(kept)
    assert names["grounding.hallucination_rate"]["value"] == rates["best"]
    assert names["grounding.human_rate"]["value"] == rates["people"]


@pytest.mark.skipif(not paths.REFERENCES.exists(), reason="needs ../shared")
def test_the_kept_table_is_what_the_kept_captions_give(kept):
    found = read_detections(Path(str(DETECTIONS).format(split="test")), THRESHOLD)
    fresh = [
        {key: str(value) for key, value in line.items()}
        for line in rows(read_references([paths.REFERENCES]).captions, found)
    ]
    assert fresh == kept


def test_reranking_prefers_confirmed_objects():
    half = {0.4: np.array([1, 1]), 0.5: np.array([0, 1])}
    pool = Pool("1", ("a cat", "a dog"), {"mbr": np.array([1.0, 0.8])}, half, {0.4: np.array([0, 0])})
    missing = Pool("2", ("a cat", "a dog"), {"mbr": np.array([1.0, 0.8])}, half, {0.4: np.array([1, 0])})
    assert chosen([pool, missing], "mbr", 0.4, 0, 0) == {"1": "a cat", "2": "a cat"}
    assert chosen([pool, missing], "mbr", 0.4, 1, 1) == {"1": "a cat", "2": "a cat"}  # 0.1 · 1 is less than 0.2
    assert chosen([pool, missing], "mbr", 0.4, 0, 3) == {"1": "a cat", "2": "a dog"}
