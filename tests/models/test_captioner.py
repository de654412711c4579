"""Captioning images, and a run directory that is self-contained."""

import io
import json
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from capsmith import Caption, Captioner
from capsmith.config import load_config
from capsmith.core.errors import CheckpointError, ConfigError, FeatureError, ImageError
from capsmith.data.text.vocabulary import START, Vocabulary
from capsmith.decoding.config import BeamConfig, GreedyConfig, SampleConfig
from capsmith.evaluation.attention_plot import attention_sheet
from capsmith.models.caption_model import build_model
from capsmith.models.keras_member import KerasMember
from capsmith.vision.encoder import build_encoder
from tests.support import shapes

TEST = [shapes.data() / "images" / f"{'_'.join(scene)}_4.png" for scene in shapes.SCENES]
LOAD_ELSEWHERE = """
import json, sys
from capsmith import Captioner
found = Captioner.load(sys.argv[1]).caption(sys.argv[2:])
print(json.dumps([[c.text, c.score, c.log_probability] for c in found]))
"""


@pytest.fixture(scope="module")
def captioner():
    return Captioner.load(shapes.trained())


@pytest.fixture
def copy(tmp_path):
    """Returns a copy of the run, to be damaged."""
    return shutil.copytree(shapes.trained(), tmp_path / "run")


def test_captions_describe_the_images(captioner):
    right = [str(c) in shapes.captions(*scene) for c, scene in zip(captioner.caption(TEST), shapes.SCENES, strict=True)]
    assert np.mean(right) >= 0.75
    wrong = [
        str(c) in shapes.captions(*scene) for c, scene in zip(captioner.caption(TEST), shapes.SCENES[1:], strict=False)
    ]
    assert np.mean(wrong) <= 0.25  # captions depend on the image


def test_a_copied_run_needs_neither_data_nor_encoder_file(captioner, tmp_path):
    """A new process captions with a copied run, without the dataset and the original encoder file."""
    run = shutil.copytree(shapes.trained(), tmp_path / "copied")
    images = [shutil.copy(path, tmp_path / path.name) for path in TEST[:6]]
    gone = [shapes.data(), shapes.workplace() / "patches.keras"]
    try:
        for path in gone:
            path.rename(path.with_suffix(".gone"))
        done = subprocess.run(
            [sys.executable, "-c", LOAD_ELSEWHERE, str(run), *map(str, images)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=300,
        )
    finally:
        for path in gone:
            path.with_suffix(".gone").rename(path)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    here = captioner.caption(TEST[:6])
    assert [text for text, _, _ in found] == [c.text for c in here]
    np.testing.assert_allclose(
        [numbers for _, *numbers in found], [[c.score, c.log_probability] for c in here], atol=1e-6
    )


def assert_same(some, others):
    """Asserts equal words, and scores equal up to the rounding of threaded products."""
    for one, other in zip(some, others, strict=True):
        assert [c.text for c in (one, *one.alternatives)] == [c.text for c in (other, *other.alternatives)]
        assert one.log_probability == pytest.approx(other.log_probability, abs=1e-4)


def test_a_loaded_captioner_equals_the_saved_one(captioner, tmp_path):
    captioner.save(tmp_path / "saved")
    again = Captioner.load(tmp_path / "saved")
    assert again.config == captioner.config
    assert again.vocabulary == captioner.vocabulary
    assert_same(again.caption(TEST[:4]), captioner.caption(TEST[:4]))


def test_a_trained_encoder_is_saved_with_the_model(tmp_path):
    config = load_config(shapes.settings(encoder={"trainable": True}))
    encoder = build_encoder(config.encoder)
    vocabulary = Vocabulary.build([["a", "red", "bar"]])
    model = build_model(config, vocabulary, (256,), encoder)
    one = Captioner([KerasMember(config, vocabulary, model, (256,), encoder)])
    one.members[0].save_parts(tmp_path)  # as training does before it begins …
    rng = np.random.default_rng(0)
    for variable in one.model.variables:  # … and changes weights and batch statistics
        if variable.dtype == "float32":
            variable.assign(np.abs(rng.normal(scale=0.3, size=variable.shape)).astype("float32"))
    one.members[0].save_weights(tmp_path)
    again = Captioner.load(tmp_path)
    np.testing.assert_allclose(again.features(TEST[:3]), one.features(TEST[:3]), rtol=1e-5)
    assert_same(again.caption(TEST[:3]), one.caption(TEST[:3]))


def test_captions_do_not_depend_on_the_batch(captioner):
    together, alone = captioner.caption(TEST), [captioner.caption(path) for path in TEST]
    assert [c.text for c in together] == [c.text for c in alone]
    assert len({c.text for c in together}) > 12
    for one, other in zip(together, alone, strict=True):
        assert one.score == pytest.approx(other.score, abs=1e-5)
        assert [a.text for a in one.alternatives] == [a.text for a in other.alternatives]


def test_captions_do_not_depend_on_the_batch_size(captioner):
    small = captioner.config.evaluation.model_copy(update={"batch_size": 5})
    config = captioner.config.model_copy(update={"evaluation": small})
    other = captioner.with_config(config)
    assert [c.text for c in other.caption(TEST)] == [c.text for c in captioner.caption(TEST)]


def test_all_kinds_of_image_arguments_give_the_same_captions(captioner):
    path = TEST[3]
    image = Image.open(path)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    forms = [path, str(path), path.read_bytes(), buffer.getvalue(), image, np.array(image)]
    found = [captioner.caption(form) for form in forms]
    assert_same(found, [found[0]] * len(forms))
    assert_same(captioner.caption(forms), found)
    assert captioner.caption(TEST[4]).text != found[0].text


def test_a_list_of_images_gives_a_list_of_captions(captioner):
    assert isinstance(captioner.caption(TEST[0]), Caption)
    assert [type(c) for c in captioner.caption([TEST[0]])] == [Caption]
    assert captioner.caption([]) == []


def test_alternatives_are_sorted_by_score(captioner):
    caption = captioner.caption(TEST[0], BeamConfig(beam_size=4, max_length=12))
    scores = [caption.score, *(other.score for other in caption.alternatives)]
    assert len(scores) == 4
    assert scores == sorted(scores, reverse=True)
    assert len({caption.text, *(other.text for other in caption.alternatives)}) == 4
    assert str(caption) == caption.text
    assert captioner.caption(TEST[0], GreedyConfig()).alternatives == ()
    drawn = captioner.caption(TEST[0], SampleConfig(samples=3, seed=1))
    assert len(drawn.alternatives) == 2
    assert_same([captioner.caption(TEST[0], SampleConfig(samples=3, seed=1))], [drawn])


def test_an_unreadable_image_is_an_image_error(captioner, tmp_path):
    (tmp_path / "text.jpg").write_text("not an image")
    for source in (tmp_path / "text.jpg", tmp_path / "none.jpg", b"", b"not an image"):
        with pytest.raises(ImageError) as caught:
            captioner.caption([TEST[0], source])
        assert "\n" not in str(caught.value)


def test_without_encoder_only_features_can_be_captioned(captioner):
    blind = Captioner.load(shapes.trained(), encoder=False)
    found = blind.caption_features(captioner.features(TEST[:3]))
    assert [c.text for c in found] == [c.text for c in captioner.caption(TEST[:3])]
    with pytest.raises(CheckpointError, match="encoder"):
        blind.caption(TEST[0])
    with pytest.raises(CheckpointError, match="encoder"):
        blind.encode(np.zeros((1, 32, 32, 3), np.uint8))


@pytest.mark.parametrize("shape", [(1, 191), (1, 4, 192), (191,)])
def test_features_of_another_shape_are_refused(captioner, shape):
    with pytest.raises(FeatureError, match="encoder|shape|axis"):
        captioner.caption_features(np.zeros(shape, "float32"))


@pytest.mark.parametrize("name", ["config.yaml", "vocabulary.json", "captioner.json", "model.weights.h5"])
@pytest.mark.parametrize("damage", ["missing", "empty", "half"])
def test_a_damaged_run_is_a_checkpoint_error(copy, name, damage):
    path = copy / name
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(b"" if damage == "empty" else content[: len(content) // 2])
    with pytest.raises(CheckpointError) as caught:
        Captioner.load(copy)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_the_vocabulary_of_another_run_is_refused(copy):
    about = json.loads((copy / "vocabulary.json").read_text())
    about["words"][-1], about["words"][-2] = about["words"][-2], about["words"][-1]
    (copy / "vocabulary.json").write_text(json.dumps(about))
    with pytest.raises(CheckpointError, match="vocabulary.json"):
        Captioner.load(copy)


@pytest.mark.parametrize("shape", [None, [], [0], ["192"], [1, 2, 3], [True], 192])
def test_an_invalid_feature_shape_is_refused(copy, shape):
    about = json.loads((copy / "captioner.json").read_text())
    (copy / "captioner.json").write_text(json.dumps({**about, "feature_shape": shape}))
    with pytest.raises(CheckpointError, match="feature_shape"):
        Captioner.load(copy)


def test_another_format_version_is_refused(copy):
    about = json.loads((copy / "captioner.json").read_text())
    (copy / "captioner.json").write_text(json.dumps({**about, "format": 99}))
    with pytest.raises(CheckpointError, match="captioner.json"):
        Captioner.load(copy)


def test_weights_of_another_decoder_are_refused(copy):
    text = (copy / "config.yaml").read_text()
    assert "units: 64" in text
    (copy / "config.yaml").write_text(text.replace("units: 64", "units: 65"))
    with pytest.raises(CheckpointError, match="model.weights.h5"):
        Captioner.load(copy)


def test_attention_maps_and_word_probabilities(tmp_path):
    keras.utils.set_random_seed(0)
    settings = shapes.settings(encoder={"output": "grid", "image_size": 48}, decoder={"type": "updown", "heads": 2})
    settings["decoder"] = {"type": "updown", "units": 16, "attention_units": 8, "heads": 2, "embedding": {"size": 8}}
    config = load_config(settings)
    vocabulary = Vocabulary.build([["a", "red", "bar"]], 1, None)
    encoder = build_encoder(config.encoder)
    model = build_model(config, vocabulary, encoder.feature_shape, encoder)
    made = Captioner([KerasMember(config, vocabulary, model, (9, 128), encoder)])
    one, other = made.caption(TEST[:2], BeamConfig(beam_size=3, max_length=6, min_length=3), attention=True)
    assert one.attention.shape == (len(one.words), 3, 3)
    np.testing.assert_allclose(one.attention.sum(axis=(1, 2)), 1, atol=1e-5)
    alone = made.caption(TEST[1], BeamConfig(beam_size=3, max_length=6, min_length=3), attention=True)
    np.testing.assert_allclose(alone.attention, other.attention, atol=1e-5)
    assert len(one.probabilities) == len(one.words) and alone.probabilities == pytest.approx(other.probabilities)
    log_probability = np.log(one.probabilities).sum()  # of the words; the caption's includes the end token
    assert one.log_probability <= log_probability + 1e-4
    ids = np.array([[START, *(i for word in vocabulary.encode_words(one.words) for i in word)]])
    logits = keras.ops.convert_to_numpy(made.model.decoder(made.features([TEST[0]]), ids))[0]
    chances = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    expected = [chances[at, word] for at, word in enumerate(ids[0, 1:])]
    np.testing.assert_allclose(one.probabilities, expected, rtol=1e-4)
    attention_sheet([(TEST[0], one.words, one.attention, one.probabilities)], tmp_path / "seen.png")
    assert Image.open(tmp_path / "seen.png").size[0] > 220 * 4
    plain = made.caption(TEST[0])
    assert plain.attention is None and plain.probabilities == ()


def test_a_decoder_without_attention_has_no_maps(captioner):
    with pytest.raises(ConfigError, match="inject"):
        captioner.caption(TEST[0], attention=True)
