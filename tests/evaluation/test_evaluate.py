"""Scores of a trained captioner, and of captions shuffled between images."""

import json
import shutil
from collections import Counter

import pytest

from capsmith.config import load_config
from capsmith.core.errors import CheckpointError, ConfigError, DataError
from capsmith.data.records import read_dataset
from capsmith.evaluation import evaluate as evaluation
from capsmith.evaluation.evaluate import shuffled, tokeniser
from capsmith.evaluation.kinds import evaluate
from capsmith.metrics import score
from capsmith.models.caption import Caption
from capsmith.training.history import read_csv
from tests.support import shapes


@pytest.mark.parametrize("images", [2, 3, 24, 1000])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shuffling_gives_every_image_the_caption_of_another(images, seed):
    given = {f"{n}.jpg": f"caption of {n}" for n in range(images)}
    found = shuffled(given, seed)
    assert found.keys() == given.keys()
    assert Counter(found.values()) == Counter(given.values())
    assert all(found[image] != given[image] for image in given)
    assert shuffled(given, seed) == found


def test_shuffling_depends_on_the_seed_and_not_on_file_order():
    given = {str(n): str(n) for n in range(50)}
    assert shuffled(given, 1) != shuffled(given, 2)
    assert sum(int(shuffled(given, 1)[str(n)]) == (n - 1) % 50 for n in range(50)) < 10


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return shutil.copytree(shapes.trained(), tmp_path_factory.mktemp("evaluation") / "run")


@pytest.fixture(scope="module")
def dev(run):
    return evaluate(run, "dev")


def test_scores_are_high_and_those_of_shuffled_captions_are_low(dev):
    assert dev.scores["bleu4"].value > 0.8
    assert dev.control["bleu4"].value < 0.6 * dev.scores["bleu4"].value
    assert dev.control["cider"].value < 0.4 * dev.scores["cider"].value


def test_scores_equal_those_of_the_predictions_file(dev):
    """The scores, recomputed by the metrics alone from the files of a run."""
    lines = [json.loads(line) for line in (dev.directory / "predictions.jsonl").read_text().splitlines()]
    captions = {line["image"]: line["caption"] for line in lines}
    config = load_config(shapes.settings())
    again = score(captions, read_dataset(config.data).references("dev"))
    saved = json.loads((dev.directory / "scores.json").read_text())
    assert saved["images"] == len(captions) == 24
    assert list(saved["scores"]) == list(again) == list(dev.scores)
    for name, expected in again.items():
        assert dev.scores[name].value == pytest.approx(expected.value, abs=1e-12)
        assert saved["scores"][name]["value"] == pytest.approx(expected.value, abs=1e-6)
        assert dev.scores[name].signature == expected.signature
        assert saved["shuffled_images"][name] == dev.control[name].value


def test_each_split_has_its_own_report(run, dev):
    assert dev.directory == run / "report" / "dev"
    assert (run / "report" / "index.html").stat().st_size > 1000  # of the test split, from training
    page = (dev.directory / "index.html").read_text(encoding="utf-8")
    assert "on the left" in page
    assert json.loads((run / "report" / "scores.json").read_text())["split"] == "test"


def test_greedy_dev_scores_equal_those_of_the_best_epoch(run):
    """The weights that a run keeps are all those of its best epoch."""
    rows = read_csv(run / "history.csv")
    best = max(rows, key=lambda row: row["dev_cider"])
    found = evaluate(run, "dev", ["decoding.type=greedy"])
    for name, measured in found.scores.items():
        assert measured.value == pytest.approx(best[f"dev_{name}"], abs=1e-6)
    assert best["dev_cider"] > rows[0]["dev_cider"] + 1


def test_overrides_are_not_saved(run, dev):
    before = (run / "config.yaml").read_text()
    found = evaluate(run, "dev", ["decoding.max_length=2", "evaluation.metrics=[bleu1]"])
    assert list(found.scores) == ["bleu1"]
    assert all(len(caption.text.split()) <= 2 for caption in found.captions.values())
    assert (run / "config.yaml").read_text() == before


def test_detections_confirm_objects_that_no_reference_names(tiny_run, tmp_path, monkeypatch):
    """Three images of a ball, a box and a stripe; the captions of all three name a ball."""

    def balls(captioner, sources, ids, decoding):
        return {image_id: Caption("a ball", 0.0, 0.0) for image_id in ids}

    monkeypatch.setattr(evaluation, "decode_images", balls)
    changes = ["evaluation.metrics=[hallucination]"]
    alone = evaluate(tiny_run.run, "dev", changes, tmp_path / "alone")
    assert list(alone.scores) == ["chair_i", "chair_s"] and "truth:references|" in alone.scores["chair_i"].signature
    assert alone.scores["chair_i"].value == alone.control["chair_i"].value == pytest.approx(2 / 3)
    ball = {"label": "sports ball", "score": 0.5}
    found = tmp_path / "found.jsonl"
    boxes = [image for image in alone.captions if "ball" not in image]
    found.write_text(json.dumps({"image": boxes[0], "objects": [ball]}))
    changes.append(f"evaluation.detections={found}")
    both = evaluate(tiny_run.run, "dev", changes, tmp_path / "both")
    assert both.scores["chair_i"].value == pytest.approx(1 / 3)
    assert "detected:1/3" in both.scores["chair_i"].signature
    assert "chair_i (lower is better)" in both.page.read_text(encoding="utf-8")
    sure = evaluate(tiny_run.run, "dev", [*changes, "evaluation.detection_threshold=0.6"], tmp_path / "sure")
    assert sure.scores["chair_i"].value == pytest.approx(2 / 3)


def test_evaluate_refuses_invalid_arguments(run, tmp_path):
    with pytest.raises(CheckpointError, match="none"):
        evaluate(tmp_path / "none")
    with pytest.raises(ConfigError, match="decoder.units"):
        evaluate(run, overrides=["decoder.units=3"])
    with pytest.raises(ConfigError, match="decoding.beam_sise"):
        evaluate(run, overrides=["decoding.beam_sise=3"])
    with pytest.raises(DataError, match="data.root|none"):
        evaluate(run, overrides=[f"data.root={tmp_path}/none"])


def test_features_of_other_weights_are_refused(run, tmp_path):
    other = shutil.copy(shapes.workplace() / "patches.keras", tmp_path / "other.keras")
    with open(other, "ab") as file:
        file.write(b"\0")
    with pytest.raises(CheckpointError, match="weights"):
        evaluate(run, overrides=[f"encoder.weights={other}"])


def test_the_tokeniser_follows_text_mode():
    assert tokeniser(load_config(shapes.settings())) == "coco"
    assert tokeniser(load_config(shapes.settings(text={"mode": "char"}))) == "char"
    chosen = shapes.settings(text={"mode": "char"}, evaluation={"tokeniser": "simple"})
    assert tokeniser(load_config(chosen)) == "simple"
