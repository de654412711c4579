"""Attention maps and word probabilities of runs, exports and ensembles, compared with the decoder's forward pass."""

import json
import shutil

import keras
import numpy as np
import pytest

from capsmith.cli import main
from capsmith.core.errors import CheckpointError, ConfigError
from capsmith.data.text.vocabulary import END, START
from capsmith.decoding.features import EnsembleFeatures
from capsmith.deploy.export.export import export
from capsmith.deploy.runtime import Captioner as RuntimeCaptioner
from capsmith.models.attention_maps import _resized
from capsmith.models.caption import Caption
from capsmith.models.captioner import Captioner
from tests.support import shapes
from tests.support.captioners import built_captioner
from tests.support.exports import write_export

SEARCH = {"decoding": "beam", "beam_size": 3, "max_length": 7, "min_length": 3}
WIDE = {"image_size": (48, 80)}  # 3 × 5 regions
EXACT = {"rtol": 1e-4, "atol": 1e-4}


def images():
    return sorted((shapes.data() / "images").glob("*.png"))[:3]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Untrained runs of an attention decoder, another on other regions, and one without attention."""
    folder = tmp_path_factory.mktemp("runs")
    for number, (name, decoder, encoder) in enumerate(
        [("wide", "updown", WIDE), ("square", "attention", {}), ("plain", "inject par", WIDE)]
    ):
        keras.utils.set_random_seed(number)
        built_captioner(decoder, encoder).save(folder / name)
    return folder


@pytest.fixture(scope="module")
def exports(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports")
    for name in ("wide", "plain"):
        export(runs / name, folder / name)
    export([runs / "wide", runs / "square"], folder / "both")
    return folder


def expected_probabilities(captioner, image, words):
    """Returns the probability of each word and of the end by one forward pass over the sentence."""
    ids = [*captioner.vocabulary.encode(words), END]
    logits = captioner.model.decoder(captioner.features(image), np.array([[START, *ids[:-1]]]))
    logits = np.float64(keras.ops.convert_to_numpy(logits)[0])
    chances = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    return chances[np.arange(len(ids)), ids]


def same(one, other):
    assert one.text == other.text
    np.testing.assert_allclose(one.probabilities, other.probabilities, **EXACT)
    np.testing.assert_allclose(one.attention, other.attention, **EXACT)


@pytest.mark.parametrize("name", ["wide", "plain"])
def test_probabilities_are_those_of_the_forward_pass_and_multiply_to_the_captions(runs, name):
    captioner = Captioner.load(runs / name)
    for image in images():
        caption = captioner.caption(image, probabilities=True, **SEARCH)
        expected = expected_probabilities(captioner, image, caption.words)
        np.testing.assert_allclose(caption.probabilities, expected[:-1], rtol=1e-4)
        ended = len(caption.words) < SEARCH["max_length"]
        whole = np.prod(caption.probabilities) * (expected[-1] if ended else 1)
        assert whole == pytest.approx(np.exp(caption.log_probability), rel=1e-3)
        assert caption.attention is None


@pytest.mark.parametrize("load", [Captioner.load, RuntimeCaptioner.load])
def test_those_of_an_export_equal_those_of_its_run(runs, exports, load):
    captioner, run = load(exports / "wide"), Captioner.load(runs / "wide")
    assert captioner.attends and run.attends
    for own, other in zip(
        captioner.caption(images(), attention=True, **SEARCH),
        run.caption(images(), attention=True, **SEARCH),
        strict=True,
    ):
        same(own, other)
        assert own.attention.shape == (len(own.words), 3, 5)
        np.testing.assert_allclose(own.attention.sum(axis=(1, 2)), 1, atol=1e-5)
    assert captioner.caption(images()[0]).probabilities == ()


def test_an_ensemble_gives_the_mean_of_runs_and_exports_alike(runs, exports):
    wide, plain = Captioner.load(runs / "wide"), Captioner.load(runs / "plain")
    joint = Captioner.load([runs / "wide", runs / "plain"])
    (caption,) = joint.caption(images()[:1], attention=True, **SEARCH)
    alone = [one.word_details(one.features(images()[:1]), [caption])[0] for one in (wide, plain)]
    mean = np.mean([one.probabilities for one in alone], axis=0)
    np.testing.assert_allclose(caption.probabilities, mean, rtol=1e-4)
    (own,) = wide.word_details(wide.features(images()[:1]), [caption], attention=True)
    np.testing.assert_allclose(caption.attention, own.attention, **EXACT)  # of the only member that attends
    for paths in ([exports / "wide", runs / "plain"], [runs / "wide", exports / "plain"]):
        same(Captioner.load(paths).caption(images()[0], attention=True, **SEARCH), caption)


def test_an_exported_ensemble_has_the_grid_of_its_first_member(runs, exports):
    of_runs = Captioner.load([runs / "wide", runs / "square"]).caption(images()[0], attention=True, **SEARCH)
    of_export = RuntimeCaptioner.load(exports / "both").caption(images()[0], attention=True, **SEARCH)
    same(of_runs, of_export)
    assert of_export.attention.shape[1:] == (3, 5)


def test_without_attention_there_are_probabilities_and_one_error(exports, runs, tmp_path):
    captioner = RuntimeCaptioner.load(exports / "plain")
    assert not captioner.attends and len(captioner.caption(images()[0], probabilities=True).probabilities)
    toy = write_export(tmp_path / "toy")
    for failing in (captioner, RuntimeCaptioner.load(toy), Captioner.load(runs / "plain")):
        with pytest.raises(ConfigError, match=r"(inject|export) .*no attention"):
            failing.caption("no such image", attention=True)


def test_alternatives_and_words_of_ones_own(exports):
    captioner = RuntimeCaptioner.load(exports / "wide")
    features = captioner.features(images())
    captions = captioner.caption_features(features, **SEARCH)
    captions[1] = Caption("red", 0, 0, words=("red",))
    together = captioner.word_details(features, captions, attention=True, alternatives=True)
    assert [len(caption.alternatives) for caption in together] == [2, 0, 2]
    for number, caption in enumerate(together):
        for one in (caption, *caption.alternatives):
            (alone,) = captioner.word_details(features[number : number + 1], [one], attention=True)
            same(one, alone)
            assert one.alternatives == () or one is caption
    assert captioner.word_details(features, captions)[0].alternatives[0].probabilities == ()
    (empty,) = captioner.word_details(features[:1], [Caption("", 0, 0)], attention=True)
    assert empty.probabilities == () and empty.attention.shape == (0, 3, 5)
    assert captioner.word_details(features[:0], []) == []
    with pytest.raises(ValueError, match="2 captions for 3 images"):
        captioner.word_details(features, captions[:2])


@pytest.mark.parametrize("model", ["wide", "both"])
@pytest.mark.parametrize(
    "settings",
    [
        SEARCH,
        {"decoding": "greedy", "max_length": 3},
        {"decoding": "sample", "samples": 4, "seed": 3, "max_length": 9},
        {"decoding": "beam", "beam_size": 4, "groups": 2, "max_length": 6},
        {"decoding": "beam", "prefix": "a red", "exclude": ["bar"], "n": 3, "max_length": 8},
        {"decoding": "beam", "include": ["bar"], "min_length": 4, "max_length": 8},
    ],
    ids=str,
)
def test_a_search_keeps_what_teacher_forcing_computes(exports, model, settings, monkeypatch):
    captioner = RuntimeCaptioner.load(exports / model)
    features = captioner.features(images())
    captions = captioner.caption_features(features, **settings)
    expected = captioner.word_details(features, captions, attention=True)
    monkeypatch.setattr(captioner, "word_details", None)  # nothing is computed once more
    for own, other in zip(captioner.caption_features(features, attention=True, **settings), expected, strict=True):
        same(own, other)
    for own, other in zip(captioner.caption_features(features, probabilities=True, **settings), expected, strict=True):
        np.testing.assert_allclose(own.probabilities, other.probabilities, **EXACT)
        assert own.attention is None and own.alternatives == other.alternatives


def test_many_images_are_read_in_parts(exports, monkeypatch):
    captioner = RuntimeCaptioner.load(exports / "wide")
    features = captioner.features(images())
    captions = captioner.caption_features(features, **SEARCH)
    expected = captioner.word_details(features, captions, attention=True)
    monkeypatch.setattr("capsmith.models.attention_maps._IMAGES_AT_ONCE", 2)
    for one, other in zip(captioner.word_details(features, captions, attention=True), expected, strict=True):
        same(one, other)


def test_manifests_hold_the_grid_and_old_ones_do_without(exports, tmp_path):
    folder = shutil.copytree(exports / "wide", tmp_path / "old")
    content = json.loads((folder / "manifest.json").read_text())
    (member,) = content["members"]
    assert member["attends"] is True and member["encoders"][0].pop("grid") == [3, 5]
    (folder / "manifest.json").write_text(json.dumps(content))
    assert RuntimeCaptioner.load(folder).members[0].grid == (3, 5)
    assert RuntimeCaptioner.load(folder, encoder=False).members[0].grid == (3, 5)
    del member["attends"]
    (folder / "manifest.json").write_text(json.dumps(content))
    assert not RuntimeCaptioner.load(folder).attends


def test_a_state_without_weights_is_a_damaged_export(exports, tmp_path):
    folder = shutil.copytree(exports / "plain", tmp_path / "claims")
    content = json.loads((folder / "manifest.json").read_text())
    content["members"][0]["attends"] = True
    (folder / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="15 regions"):
        RuntimeCaptioner.load(folder).caption(images()[0], attention=True)


def test_a_captioner_without_encoder_has_maps_of_stored_features(runs):
    captioner = Captioner.load(runs / "square")
    features = captioner.features(images()[:1])
    bare = Captioner.load(runs / "square", encoder=False)
    (caption,) = bare.word_details(features, bare.caption_features(features, **SEARCH), attention=True)
    same(caption, captioner.caption(images()[0], attention=True, **SEARCH))


def test_features_must_fit_the_members(exports):
    joint = RuntimeCaptioner.load(exports / "both")
    features = joint.features(images()[:1])
    with pytest.raises(TypeError, match="2 members"):
        joint.word_details(features.parts[0], [Caption("red", 0, 0, words=("red",))])
    assert isinstance(features, EnsembleFeatures)


def test_the_command_draws_and_prints_those_of_an_export(exports, tmp_path, capsys):
    sheet = tmp_path / "seen.png"
    assert main(["caption", str(exports / "wide"), str(images()[0]), "--attention", str(sheet), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    caption = RuntimeCaptioner.load(exports / "wide").caption(images()[0], attention=True)
    assert [entry["word"] for entry in printed["words"]] == list(caption.words)
    assert [entry["probability"] for entry in printed["words"]] == pytest.approx(caption.probabilities, abs=1e-5)
    assert sheet.stat().st_size > 1000
    assert main(["caption", str(exports / "wide"), str(images()[0]), "--json"]) == 0
    assert "words" not in json.loads(capsys.readouterr().out)


def test_resizing_keeps_the_sum_of_each_map():
    rng = np.random.default_rng(0)
    maps = rng.random((2, 3, 4, 6)).astype(np.float32)
    for grid in ((2, 3), (8, 12), (3, 5), (4, 6)):
        resized = _resized(maps, grid)
        assert resized.shape == (2, 3, *grid)
        np.testing.assert_allclose(resized.sum((-2, -1)), maps.sum((-2, -1)), rtol=1e-5)
    np.testing.assert_allclose(_resized(maps, (2, 3))[0, 0, 0, 0], maps[0, 0, :2, :2].sum(), rtol=1e-6)
    np.testing.assert_array_equal(_resized(maps, (4, 6)), maps)


def test_resizing_up_spreads_evenly():
    assert _resized(np.float32([[[1.0, 3.0]]]), (1, 4))[0, 0] == pytest.approx([0.5, 0.5, 1.5, 1.5])
