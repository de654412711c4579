"""bfloat16 is chosen where it is supported and faster, and its results are close to those of float32."""

import time

import keras
import numpy as np
import pytest
from PIL import Image

from capsmith.config import Config
from capsmith.core import precision
from capsmith.core.errors import FeatureError
from capsmith.decoding.config import SampleConfig
from capsmith.decoding.search import search
from capsmith.decoding.stepper import DecoderStepper
from capsmith.models.caption_model import masked_cross_entropy
from capsmith.models.decoders.config import DECODERS, MergeConfig
from capsmith.training.fit import train
from capsmith.training.history import read_csv
from capsmith.training.setup import new_captioner
from capsmith.vision.config import EncoderConfig, FeaturesConfig
from capsmith.vision.extraction import extract
from tests.support.toy import make_data, settings


def machine(monkeypatch, tmp_path, text):
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(precision, "_CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(precision, "has_accelerator", lambda: False)
    precision.has_bfloat16.cache_clear()
    precision.faster_dtype.cache_clear()


@pytest.fixture(autouse=True)
def forgotten():
    yield
    precision.has_bfloat16.cache_clear()
    precision.faster_dtype.cache_clear()


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_bf16\n", True),
        ("flags\t\t: fpu amx_bf16 amx_tile\n", True),
        ("Features\t: fp asimd bf16 sve\n", True),
        ("flags\t\t: fpu avx2 avx512f\nmodel name: bf16\n", False),
        ("", False),
    ],
)
def test_processor_features_are_detected(monkeypatch, tmp_path, text, has):
    machine(monkeypatch, tmp_path, text)
    assert precision.has_bfloat16() is has


def test_an_unknown_processor_has_no_bfloat16(monkeypatch, tmp_path):
    machine(monkeypatch, tmp_path, "flags : avx512_bf16")
    (tmp_path / "cpuinfo").unlink()
    assert not precision.has_bfloat16() and precision.faster_dtype() == "float32"


def taking(**seconds):
    return lambda dtype: lambda: time.sleep(seconds[dtype])


def test_the_slower_precision_is_never_chosen():
    assert precision.faster(taking(float32=0.02, bfloat16=0.005)) == "bfloat16"
    assert precision.faster(taking(float32=0.005, bfloat16=0.02)) == "float32"
    assert precision.faster(taking(float32=0.02, bfloat16=0.02)) == "float32"


def test_without_bfloat16_nothing_is_timed(monkeypatch, tmp_path):
    machine(monkeypatch, tmp_path, "flags : avx2")
    monkeypatch.setattr(precision, "faster", None)
    assert precision.faster_dtype() == "float32"


def test_the_policy_applies_within_its_scope():
    with precision.dtype_scope("bfloat16"):
        inside = keras.layers.Dense(1)
    with pytest.raises(ZeroDivisionError), precision.dtype_scope("bfloat16"):
        raise ZeroDivisionError
    outside = keras.layers.Dense(1)
    assert (inside.compute_dtype, inside.variable_dtype, outside.compute_dtype) == ("bfloat16", "float32", "float32")


def images(folder, count):
    rng = np.random.default_rng(0)
    folder.mkdir()
    for n in range(count):
        rough = Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8))
        rough.resize((64, 64), Image.Resampling.BICUBIC).save(folder / f"{n}.png")
    return [(str(n), folder / f"{n}.png") for n in range(count)]


def test_features_in_bfloat16_have_nearly_the_same_direction(tmp_path, log_lines):
    result, lines = {}, log_lines
    files = images(tmp_path / "images", 5)
    config = EncoderConfig(type="mobilenet_v2", weights="none", image_size=64)
    for name in ("float32", "bfloat16"):
        how = FeaturesConfig(store=tmp_path / name, batch_size=5, precision=name)
        store = extract(files, config, how)
        result[name] = np.asarray(store.gather(np.arange(5)), np.float64)
    one, other = result.values()
    cosine = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    assert cosine.min() >= 0.999 and (one != other).any()
    assert ["in bfloat16" in line for line in lines if "extracting" in line] == [False, True]


def test_precisions_are_timed_only_for_many_images(tmp_path, monkeypatch, log_lines):
    """On a machine with bfloat16 both precisions are built and timed; the faster one computes the features."""
    monkeypatch.setattr(precision, "has_bfloat16", lambda: True)
    monkeypatch.setattr("capsmith.vision.encoded_batches._MIN_IMAGES_TO_TIME", 3)
    files = images(tmp_path / "images", 5)
    config = EncoderConfig(type="small_cnn", weights="none", image_size=32)
    for chosen in ("float32", "bfloat16"):
        log_lines.clear()
        lines = log_lines

        def choose(make, chosen=chosen):
            assert [make(name)().dtype for name in ("float32", "bfloat16")] == [np.float32, np.float32]
            return chosen

        monkeypatch.setattr(precision, "faster", choose)
        extract(files, config, FeaturesConfig(store=tmp_path / chosen, batch_size=5))
        assert any("in bfloat16" in line for line in lines) is (chosen == "bfloat16")


def test_a_store_keeps_its_precision(tmp_path, log_lines):
    """New images are extracted in the precision of the existing ones; an explicit other precision is an error."""
    files = images(tmp_path / "images", 6)
    config = EncoderConfig(type="small_cnn", weights="none", image_size=32)
    lines = log_lines
    for some, name in ((files[:4], "bfloat16"), (files, "auto")):
        extract(some, config, FeaturesConfig(store=tmp_path / "store", batch_size=2, precision=name))
    assert [("in bfloat16" in line) for line in lines if "extracting" in line] == [True, True]
    (tmp_path / "images" / "0.png").write_bytes((tmp_path / "images" / "1.png").read_bytes() + b"x")
    with pytest.raises(FeatureError, match="features.precision: .*bfloat16"):
        extract(files, config, FeaturesConfig(store=tmp_path / "store", precision="float32"))


def test_a_resumed_training_keeps_its_precision(tmp_path, monkeypatch):
    """Precisions are timed once; a resumed run keeps its precision, whichever is faster now."""
    values = settings(make_data(tmp_path / "data"), tmp_path / "cache")
    values["training"] |= {"epochs": 1, "precision": "auto"}
    made = []
    monkeypatch.setattr("capsmith.training.setup.faster_dtype", lambda: "bfloat16")
    monkeypatch.setattr("capsmith.training.captioning.new_captioner", watched(made))
    captioner = train(Config.model_validate(values), tmp_path / "run")
    assert captioner.model.decoder.compute_dtype == "float32"  # as when loaded from disk
    monkeypatch.setattr("capsmith.training.setup.faster_dtype", lambda: "float32")
    train(Config.model_validate(values), tmp_path / "run", resume=True)
    assert made == ["bfloat16", "bfloat16"]


def test_a_trainable_encoder_trains_in_float32(tmp_path, monkeypatch):
    """With precision ``auto``, whichever is faster; an explicit precision is used."""
    made = []
    monkeypatch.setattr("capsmith.training.setup.faster_dtype", lambda: "bfloat16")
    monkeypatch.setattr("capsmith.training.captioning.new_captioner", watched(made))
    for asked in ("auto", "bfloat16"):
        values = settings(make_data(tmp_path / asked), tmp_path / "cache")
        values["encoder"] |= {"trainable": True}
        values["training"] |= {"epochs": 1, "precision": asked}
        train(Config.model_validate(values), tmp_path / f"run {asked}")
    assert made == ["float32", "bfloat16"]


def watched(made):
    def new(config, vocabulary, vectors, prepared, precision):
        made.append(precision)
        return new_captioner(config, vocabulary, vectors, prepared, precision)

    return new


def test_samples_in_bfloat16_are_drawn_from_all_words():
    """Random numbers are not rounded to bfloat16: none lies beyond the last word, and every word can be drawn."""
    keras.utils.set_random_seed(0)
    with precision.dtype_scope("bfloat16"):
        decoder = DECODERS.build(MergeConfig(units=8, embedding={"size": 4}), 3000)
        features = np.random.default_rng(0).random((8, 6), np.float32)  # equal images would be sampled alike
        decoder(features, np.ones((8, 2), np.int32))
    assert decoder.compute_dtype == "bfloat16"
    result = search(DecoderStepper(decoder), features, SampleConfig(samples=100, max_length=4, seed=1))
    words = np.array([word for some in result for h in some for word in h.tokens])
    assert words.min() > 2 and all(np.isfinite(h.log_probability) for some in result for h in some)
    assert len(np.unique(words)) > 1500  # of 3,200 draws


def test_training_in_bfloat16_reaches_the_same_loss(tmp_path):
    """The toy's loss after ten epochs, in both precisions; the weights are kept in float32."""
    data, losses = make_data(tmp_path / "data"), {}
    for name in ("float32", "bfloat16"):
        values = settings(data, tmp_path / "cache")
        values["training"] |= {"epochs": 10, "learning_rate": 0.05, "precision": name}
        train(Config.model_validate(values), tmp_path / name)
        losses[name] = [row["loss"] for row in read_csv(tmp_path / name / "history.csv")]
    assert losses["bfloat16"] != losses["float32"]
    np.testing.assert_allclose(losses["bfloat16"], losses["float32"], rtol=0.05)
    assert losses["float32"][-1] < 0.85 * losses["float32"][0]


def test_the_loss_is_computed_in_float32():
    logits = np.random.default_rng(0).normal(size=(2, 3, 50)).astype("float32")
    rounded = keras.ops.cast(logits, "bfloat16")
    targets = np.array([[4, 5, 0], [7, 2, 9]], np.int32)
    loss = masked_cross_entropy(targets, rounded, 0.1)
    exact = masked_cross_entropy(targets, keras.ops.cast(rounded, "float32"), 0.1)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32" and float(loss) == float(exact)
