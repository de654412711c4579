"""Training on a pickle of features: with and without images, resuming, evaluation, and captions of new images."""

import json
import pickle
import shutil

import numpy as np
import pytest

from capsmith import Captioner, evaluate, load_config, train
from capsmith.core.errors import CapsmithError, CheckpointError, ConfigError, FeatureError
from capsmith.core.files import write_json
from capsmith.models.feature_origin import require_encoder
from capsmith.training.extract import extract
from tests.support import shapes


@pytest.fixture(scope="module")
def own():
    """Returns the features of capsmith's own extraction, in the layout of a notebook's pickle."""
    store = extract(load_config(settings()))
    return {image: store.gather(store.rows([image])) for image in store.ids}  # (1, D) each


def settings(training=None, attends=False, **sections):
    values = shapes.settings(training={"epochs": 2, "metric": "bleu4", **(training or {})}, **sections)
    values["evaluation"] = {"after_training": None, "metrics": ["bleu"], **values["evaluation"]}
    if attends:
        values["decoder"] = {"type": "updown", "units": 16, "heads": 2, "attention_units": 8, "embedding": {"size": 8}}
    return values


def pickled(path, value, protocol=2):
    path.write_bytes(pickle.dumps(value, protocol))
    return path


def stored(path, **sections):
    return load_config(settings(**{"features": {"store": str(path)}, **sections}))


def learn(config, run, **more):
    return train(config, run, **more), lambda: (run / "log.txt").read_text()


@pytest.fixture(scope="module")
def without_images(own, tmp_path_factory):
    """A run trained from a pickle of vectors without the image folder."""
    folder = tmp_path_factory.mktemp("given")
    shutil.copytree(shapes.data(), folder / "data")
    shutil.rmtree(folder / "data" / "images")
    path = pickled(folder / "old.pkl", {image.removesuffix(".png"): array[0] for image, array in own.items()}, 0)
    config = stored(path, data={"type": "folder", "root": str(folder / "data")})
    _, log = learn(config, folder / "run")
    return folder, config, log()


@pytest.fixture
def copy(without_images, tmp_path):
    folder, config, _ = without_images
    return shutil.copytree(folder / "run", tmp_path / "run"), config


def test_training_on_a_pickle_equals_training_on_a_store(own, without_images, tmp_path):
    """With its own extraction and with the pickle, the weights after two epochs are equal."""
    learn(load_config(settings()), tmp_path / "own")
    one, other = (
        Captioner.load(tmp_path / "own", encoder=False),
        Captioner.load(without_images[0] / "run", encoder=False),
    )
    for weight, same in zip(one.model.weights, other.model.weights, strict=True):
        np.testing.assert_allclose(np.array(weight), np.array(same), atol=1e-6)


def test_training_on_a_pickle_needs_no_images(without_images):
    folder, _, log = without_images
    assert "120 of 120" in log and "256" in log
    assert "small_cnn" in log and "cannot be verified" in log
    about = json.loads((folder / "run" / "captioner.json").read_text())["features"]
    assert about["encoder"] == "unverified" and len(about["sha256"]) == 64
    done = evaluate(folder / "run", "test", out=folder / "report")
    assert len(done.captions) == 24 and "the image cannot be read" in (folder / "report" / "index.html").read_text()


def test_the_encoder_of_the_config_captions_new_images(without_images, own):
    captioner = Captioner.load(without_images[0] / "run")
    image = next(path for path in (shapes.data() / "images").iterdir())
    np.testing.assert_allclose(captioner.features([image]), own[image.name], rtol=1e-3, atol=1e-3)
    assert captioner.caption(image).text == captioner.caption_features(own[image.name])[0].text
    assert "cannot be verified" in captioner.members[0].feature_origin.note


def test_available_images_verify_the_encoder(own, tmp_path):
    _, log = learn(stored(pickled(tmp_path / "old.pkl", own)), tmp_path / "run")
    assert "cosine of 1.00" in log()
    assert Captioner.load(tmp_path / "run").members[0].feature_origin.note == ""


@pytest.mark.parametrize("way", ["another size", "the same size"])
def test_another_encoder_is_detected(own, tmp_path, way):
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(256, 256 if way == "the same size" else 100)) / 16
    path = pickled(tmp_path / "old.pkl", {image: array[0] @ matrix for image, array in own.items()})
    _, log = learn(stored(path), tmp_path / "run")
    expected = "another network" if way == "the same size" else "(256,)"
    assert expected in log() and "encoder (type, layer, output)" in log()
    captioner = Captioner.load(tmp_path / "run")
    assert captioner.encoder is None and not (tmp_path / "run" / "encoder.json").exists()
    with pytest.raises(CheckpointError, match="old.pkl"):
        captioner.caption(shapes.data() / "images" / "red_bar_left_0.png")
    assert captioner.caption_features(np.zeros((1, matrix.shape[1]), "float32"))
    with pytest.raises(CheckpointError, match="old.pkl.*features.store"):
        evaluate(tmp_path / "run", "dev", ["features.store=null"])
    evaluate(tmp_path / "run", "dev")


def test_the_encoder_may_be_set_on_resume(own, tmp_path):
    """Training runs without encoder weights; resuming with the right encoder adds it to the run."""
    path = pickled(tmp_path / "old.pkl", own)
    missing = {"type": "small_cnn", "weights": str(tmp_path / "gone.weights.h5"), "image_size": 32}
    _, log = learn(stored(path, encoder=missing), tmp_path / "run")
    assert "gone.weights.h5" in log() and Captioner.load(tmp_path / "run").encoder is None
    weights = (tmp_path / "run" / "model.weights.h5").read_bytes()
    learn(stored(path), tmp_path / "run", resume=True)
    assert Captioner.load(tmp_path / "run").members[0].feature_origin.encoder == "verified"
    assert len((tmp_path / "run" / "model.weights.h5").read_bytes()) == len(weights)


def test_a_grid_of_any_layout_trains_attention(own, tmp_path):
    rng = np.random.default_rng(0)
    path = pickled(tmp_path / "old.pkl", {image: rng.normal(size=(1, 3, 3, 6)).astype("f2") for image in own})
    config = stored(path, attends=True, encoder={"output": "grid"})
    captioner, log = learn(config, tmp_path / "run")
    assert captioner.feature_shape == (9, 6) and "9 regions of 6 channels" in log()


def test_pickles_of_unsuitable_shapes_are_refused(own, copy, tmp_path):
    path = pickled(tmp_path / "old.pkl", own)
    with pytest.raises(ConfigError, match="decoder.type"):
        learn(stored(path, attends=True), tmp_path / "other")
    run, _ = copy
    other = pickled(tmp_path / "other.pkl", {image: array[0, :100] for image, array in own.items()})
    with pytest.raises(FeatureError, match=r"\(100,\).*\(256,\)"):
        evaluate(run, "dev", [f"features.store={other}"])


# --- resuming ---------------------------------------------------------------------------------------------------------


def test_resuming_with_a_moved_pickle(copy, own, tmp_path):
    run, config = copy
    moved = shutil.copy(config.features.store, tmp_path / "moved.pkl")
    config = config.model_copy(update={"features": config.features.model_copy(update={"store": moved})})
    longer = config.model_copy(update={"training": config.training.model_copy(update={"epochs": 2})})
    learn(longer, run, resume=True)


def test_resuming_with_other_features_is_refused(copy, own, tmp_path):
    run, config = copy
    other = pickled(tmp_path / "other.pkl", {image: array + 1 for image, array in own.items()})
    for features, says in (({"store": other}, r"other\.pkl"), ({}, r"features\.store")):
        changed = config.model_copy(
            update={"features": stored(other).features if features else type(config.features)()}
        )
        with pytest.raises(CheckpointError, match=says):
            learn(changed, run, resume=True)
    shutil.copytree(shapes.trained(), tmp_path / "extracted")
    (tmp_path / "extracted" / "state.npz").touch()
    extracted = load_config(tmp_path / "extracted" / "config.yaml", [f"features.store={other}"])
    with pytest.raises(CheckpointError, match="--run"):
        learn(extracted, tmp_path / "extracted", resume=True)


def test_evaluation_on_another_pickle_logs_a_warning(copy, own, tmp_path, log_lines):
    run, _ = copy
    test = {image: array for image, array in own.items() if image.endswith("_4.png")}
    other = pickled(tmp_path / "test.pkl", test)
    done = evaluate(run, "test", [f"features.store={other}"])
    assert len(done.captions) == 24 and any("cannot be verified" in line for line in log_lines)
    with pytest.raises(FeatureError, match="24 of 24 dev"):
        evaluate(run, "dev", [f"features.store={other}"])


def test_missing_test_features_are_reported_before_training(own, tmp_path):
    path = pickled(tmp_path / "old.pkl", {image: array for image, array in own.items() if not image.endswith("_4.png")})
    config = load_config(settings(features={"store": str(path)}, evaluation={"after_training": "test"}))
    with pytest.raises(FeatureError, match="24 of 24 test"):
        learn(config, tmp_path / "run")
    assert not (tmp_path / "run" / "history.csv").exists()


# --- incompatible settings --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sections", "key"),
    [
        ({"encoder": {"trainable": True}}, "encoder.trainable"),
        ({"encoder": {"type": "mobilenet_v2", "pretrain_on_words": {"output": "x"}}}, "encoder.pretrain_on_words"),
        ({"training": {"cached_crops": 1}}, "training.cached_crops"),
    ],
)
def test_settings_that_need_images(sections, key):
    with pytest.raises(CapsmithError, match=key):
        stored("old.pkl", **sections)


def test_a_damaged_feature_entry_is_refused(copy):
    run, _ = copy
    about = json.loads((run / "captioner.json").read_text())
    for features in (
        [],
        {"store": 1},
        {**about["features"], "encoder": "perhaps"},
        {**about["features"], "sha256": None},
    ):
        (run / "captioner.json").write_text(json.dumps({**about, "features": features}))
        with pytest.raises(CheckpointError, match="captioner.json: features"):
            Captioner.load(run)


def test_the_encoder_of_a_run(tmp_path):
    """Weights with another content are refused; the same file at another path is accepted."""
    run = shapes.trained()
    saved = load_config(run / "config.yaml")
    require_encoder(saved, run)
    moved = shutil.copy(shapes.workplace() / "patches.keras", tmp_path / "moved.keras")
    require_encoder(load_config(run / "config.yaml", [f"encoder.weights={moved}"]), run)
    with (tmp_path / "moved.keras").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(CheckpointError, match="weights: sha256"):
        require_encoder(load_config(run / "config.yaml", [f"encoder.weights={moved}"]), run)
    with pytest.raises(FeatureError, match="No such file"):
        require_encoder(load_config(run / "config.yaml", [f"encoder.weights={tmp_path}/none.keras"]), run)


@pytest.mark.parametrize("content", [[], {}, {"fingerprint": 3}])
def test_a_damaged_encoder_description_is_refused(tmp_path, content):
    write_json(tmp_path / "encoder.json", content)
    with pytest.raises(CheckpointError, match="encoder.json"):
        require_encoder(load_config(shapes.settings()), tmp_path)
    require_encoder(load_config(shapes.settings(encoder={"trainable": True})), tmp_path)  # in the checkpoint itself
