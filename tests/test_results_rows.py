"""Rows keep their meaning, figures follow from the kept captions, and every reading of test is logged."""

import csv
import hashlib
import json
import re
import statistics
from functools import cache

import pytest
import yaml

from capsmith.metrics import Scorer
from capsmith.metrics.files import read_hypotheses, read_references
from capsmith.vision.encoders import ENCODERS
from tools import caption_statistics, four_references, measures, migrate_configs, rescore
from tools.paths import REFERENCES, RESULTS, ROOT, SHARED, read_log, read_summary
from tools.rows import ENCODER_SIZES, HEADLINE, ROWS

SUMMARY = read_summary()
LOG = read_log()
FOLDERS = [(name, folder) for name, row in ROWS.items() for folder in row.folders]

needs_references = pytest.mark.skipif(not REFERENCES.exists(), reason="Flickr8k's references are not in ../shared")
needs_flickr8k = pytest.mark.skipif(not (SHARED / "flickr8k").exists(), reason="Flickr8k is not in ../shared")
needs_weights = pytest.mark.skipif(not (SHARED / "weights").exists(), reason="the weights are not in ../shared")


@cache
def scorer():
    return Scorer(read_references([REFERENCES]).captions)


def scores_of(folder):
    return json.loads((RESULTS / folder / "report" / "scores.json").read_text(encoding="utf-8"))


@needs_references
@pytest.mark.parametrize("name, folder", FOLDERS)
def test_kept_captions_score_as_stated(name, folder):
    rescored = scorer().score(read_hypotheses(RESULTS / folder / "report" / "predictions.jsonl").captions)
    kept = scores_of(folder)
    assert kept["split"] == "test"
    assert kept["images"] == 1000
    for metric, score in rescored.items():
        assert kept["scores"][metric]["value"] == pytest.approx(score.value, abs=1e-9), metric
        assert kept["scores"][metric]["signature"] == score.signature


def test_figures_equal_the_kept_scores():
    assert max(map(rescore.difference_of_figure, SUMMARY.values())) < 1e-9
    assert rescore.difference_of_figure({"value": 0.1, "scores": SUMMARY["flickr8k.xe.cider"]["scores"]}) > 0.1


@pytest.mark.parametrize("name", ROWS)
def test_figures_of_a_row_come_from_its_folders(name):
    row = ROWS[name]
    for figure in ("bleu1", "bleu2", "bleu3", "bleu4", "rouge", "cider", "shuffled_bleu4", "shuffled_cider"):
        entry = SUMMARY[f"flickr8k.{name}.{figure}"]
        assert [place for place, *_ in entry["scores"]] == [f"results/{f}/report/scores.json" for f in row.folders]
        assert entry["seeds"] == len(row.folders)


def test_every_figure_belongs_to_a_defined_row():
    assert {key.split(".")[1] for key in SUMMARY if key.startswith("flickr8k.")} == set(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_rows_were_decoded_as_defined(name):
    for folder in ROWS[name].folders:
        decoding = scores_of(folder)["decoding"]
        flat = measures.flatten(decoding)
        assert {key: flat[key] for key in ROWS[name].search} == ROWS[name].search
        assert yaml.safe_load((RESULTS / folder / "config.yaml").read_text(encoding="utf-8"))["decoding"] == decoding


def test_rows_with_mbr_reranking_are_named_and_labelled_so():
    assert ROWS["scst"].search["type"] == "beam"
    for name, row in ROWS.items():
        assert row.uses_training_captions == ("MBR" in row.label), name
        assert row.uses_training_captions == ("consensus" in name or name.startswith("best")), name


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if len(row.folders) > 1])
def test_means_are_over_seeds_of_one_recipe(name):
    first, *others = (RESULTS / folder for folder in ROWS[name].folders)
    seeds = [yaml.safe_load((folder / "config.yaml").read_text())["seed"] for folder in (first, *others)]
    assert len(set(seeds)) == len(seeds)
    for other in others:
        assert measures.recipe_differences(first, other) == []


@pytest.mark.parametrize("name, folder", FOLDERS)
def test_kept_configs_state_the_training_precision(name, folder):
    config = yaml.safe_load((RESULTS / folder / "config.yaml").read_text(encoding="utf-8"))
    assert config["training"].get("precision", "float32") == ROWS[name].precision
    versions = json.loads((RESULTS / folder / "versions.json").read_text(encoding="utf-8"))
    assert versions.get("precision", ROWS[name].precision) == ROWS[name].precision


@pytest.mark.parametrize("name, folder", FOLDERS)
def test_readings_of_every_row_are_logged(name, folder):
    captions = (RESULTS / folder / "report" / "predictions.jsonl").read_bytes()
    (entry,) = (one for one in LOG if one.get("predictions_sha256") == hashlib.sha256(captions).hexdigest())
    assert (entry["row"], entry["shown_in"], entry["replaced_by"]) == (name, folder, None)
    kept = scores_of(folder)
    assert entry["scores"] == {metric: score["value"] for metric, score in kept["scores"].items()}
    assert migrate_configs.migrated_decoding(entry["decoding"]) == kept["decoding"]


def test_replaced_readings_name_their_successor_and_the_reason():
    entries = {one["id"]: one for one in LOG}
    assert len(entries) == len(LOG)
    replaced = [one for one in LOG if one.get("replaced_by") is not None]
    for one in replaced:
        assert entries[one["replaced_by"]]["row"] == one["row"]
        assert one["why"]
    assert {one["id"] for one in LOG if one.get("shown_in") is None and "source" in one} == {
        one["id"] for one in replaced
    }


def page(name):
    """Returns a page's text on one line."""
    return re.sub(r"\s+", " ", (ROOT / name).read_text(encoding="utf-8"))


def test_the_results_page_counts_the_readings_of_test():
    before = [one for one in LOG if "source" in one]
    shown = sum(one["shown_in"] is not None for one in before)
    best = sum(one["kept_as"] == "flickr8k.best" for one in before)
    text = page("docs/results.md")
    assert f"{len(before)} readings" in text
    assert f"{shown} are shown and {len(before) - shown} were replaced" in text
    assert f"`best` test was read {best} times" in text


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.trainings])
def test_training_minutes_are_the_epochs_of_all_trainings(name):
    each = [sum(measures.minutes(RESULTS / one) for one in trainings) for trainings in ROWS[name].trainings]
    assert len(each) == len(ROWS[name].folders)
    assert SUMMARY[f"flickr8k.{name}.training_minutes"]["value"] == pytest.approx(statistics.mean(each))


@pytest.mark.parametrize("name", ROWS)
def test_sizes_count_decoders_encoders_and_the_caption_index(name):
    figures = {key: SUMMARY[f"flickr8k.{name}.{key}"]["value"] for key in ("parameters", "checkpoint_mb")}
    size = measures.deployed_size(ROWS[name], figures["parameters"], figures["checkpoint_mb"])
    assert size == (SUMMARY[f"flickr8k.{name}.all_parameters"]["value"], SUMMARY[f"flickr8k.{name}.all_mb"]["value"])
    one = measures.parameters(RESULTS / ROWS[name].folders[0])
    assert figures["parameters"] == one * ROWS[name].members or one == 0


@needs_weights
def test_sizes_of_encoders_are_those_of_their_files():
    files = {
        "mobilenet_v2": "mobilenet_v2_1.0_224_notop.weights.h5",
        "inception_v3": "inception_v3_to_mixed8.weights.h5",
    }
    for name, file in files.items():
        assert (SHARED / "weights" / file).stat().st_size == ENCODER_SIZES[name][1]


def test_parameters_of_encoders_are_those_of_keras():
    import keras

    mobilenet = keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=(224, 224, 3))
    inception = keras.applications.InceptionV3(weights=None, include_top=False, input_shape=(299, 299, 3))
    cut = keras.Model(inception.input, inception.get_layer("mixed8").output)
    assert ENCODER_SIZES["mobilenet_v2"][0] == mobilenet.count_params()
    assert ENCODER_SIZES["inception_v3"][0] == cut.count_params()


@pytest.mark.parametrize("name, folder", FOLDERS)
def test_dev_chose_the_epoch(name, folder):
    """The epoch that log.txt calls best is the one with the highest dev score in history.csv."""
    log = (RESULTS / folder / "log.txt").read_text(encoding="utf-8")
    best, score = re.findall(r"best epoch (\d+): dev cider ([\d.]+)", log)[-1]
    with (RESULTS / folder / "history.csv").open(encoding="utf-8") as file:
        rows = {int(float(row["epoch"])): float(row["dev_cider"]) for row in csv.DictReader(file)}
    assert rows[int(best)] == max(rows.values()) == pytest.approx(float(score), abs=6e-5)


def test_the_kept_sweep_holds_the_setting_of_its_config_and_the_dev_report_beside_it():
    folder = RESULTS / "flickr8k" / "quick" / "seed_1"
    with (folder / "sweep_dev.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    decoding = yaml.safe_load((folder / "sweep_run" / "config.yaml").read_text(encoding="utf-8"))["decoding"]
    chosen = [
        line
        for line in lines
        if int(line["decoding.beam_size"]) == decoding["beam_size"]
        and float(line["decoding.length_penalty"]) == decoding["length_penalty"]
    ]
    report = json.loads((folder / "sweep_run" / "report" / "dev" / "scores.json").read_text(encoding="utf-8"))
    assert report["split"] == "dev"
    assert len(chosen) == 1
    assert len(lines) >= 12
    for metric, score in report["scores"].items():
        assert float(chosen[0][metric]) == pytest.approx(score["value"], abs=6e-5)


@needs_references
@pytest.mark.parametrize("name", ["best", "scst"])
def test_four_references_are_the_mean_over_leaving_out_each(name, monkeypatch):
    monkeypatch.setattr(four_references, "ROWS", {name: ROWS[name]})
    scores = four_references.against_four(scorer())[name]
    for metric in ("bleu4", "cider"):
        value = SUMMARY[f"flickr8k.{name}.{metric}_four_references"]["value"]
        assert statistics.mean(scores[metric]) == pytest.approx(value, abs=1e-9)
    captions = read_hypotheses(RESULTS / ROWS[name].folders[0] / "report" / "predictions.jsonl").captions
    references = read_references([REFERENCES]).captions
    fewer = [{image: [*g[:n], *g[n + 1 :]] for image, g in references.items()} for n in range(5)]
    by_hand = statistics.mean(Scorer(one, ["bleu4"]).score(captions)["bleu4"].value for one in fewer)
    assert scores["bleu4"][0] == pytest.approx(by_hand, abs=1e-12)


@needs_flickr8k
def test_caption_statistics_follow_from_the_kept_captions():
    sets, training = caption_statistics.read(SHARED / "flickr8k")
    odd = caption_statistics.UnusualRelations(training)
    for name in (*HEADLINE, caption_statistics.PEOPLE):
        each = [caption_statistics.measures(captions, training, odd) for captions in sets[name]]
        for measure in caption_statistics.NOTES:
            value = SUMMARY[f"reading.{measure}_{name}"]["value"]
            assert statistics.mean(one[measure] for one in each) == pytest.approx(value, abs=1e-12)
    assert len(training) == 30000


def test_the_results_page_counts_the_objections_to_human_captions():
    faults = json.loads((RESULTS / "flickr8k" / "caption_faults.json").read_text(encoding="utf-8"))
    text = page("docs/results.md")
    people, best = faults["people"], faults["best"]
    assert people["captions"] == 5000
    assert f"the rules object to {len(people['objected_to'])} (" in text
    assert f"and {len(people['odd_relations'])} have an odd relation" in text
    assert f"the {len(best['odd_relations'])} odd relations of `best`" in text


def test_the_66_models_are_66_and_the_row_is_the_best_of_them():
    rescored = json.loads((RESULTS / "flickr8k" / "rescored.json").read_text(encoding="utf-8"))
    assert len(rescored["scores"]) == 66
    best = max(rescored["scores"], key=lambda model: rescored["scores"][model]["cider"])
    assert best == rescored["best"]
    for metric, value in rescored["scores"][best].items():
        assert SUMMARY[f"others.show_and_tell_vgg16.{metric}"]["value"] == value


def test_pages_state_the_number_of_encoders():
    for path in (ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")):
        for stated in re.findall(r"(\d+) encoders", path.read_text(encoding="utf-8")):
            assert int(stated) == len(ENCODERS), path.name


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.name)
def test_comments_of_configs_cite_no_scores(path):
    """A score belongs to results/, with its command; a comment that cites one is out of date unseen."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        comment = line.partition("#")[2]
        assert not re.search(r"(CIDEr|BLEU(-\d)?|METEOR|dev)\W+(of )?[01]?\.\d", comment), f"{path.name}:{number}"
