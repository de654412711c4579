"""Two encoders and cached crops, from config to captions."""

import numpy as np
import pytest

from capsmith import Captioner
from capsmith.config import load_config
from capsmith.core.errors import CheckpointError
from capsmith.evaluation.kinds import evaluate
from capsmith.models.feature_origin import require_encoder
from capsmith.training.fit import train
from capsmith.training.training_images import TrainingImages
from tests.support import shapes
from tests.support.prepared import prepare_splits


@pytest.fixture(scope="module")
def joined(tmp_path_factory):
    """A captioner trained on the grids of two encoders of different sizes, and on one crop of each image."""
    folder = tmp_path_factory.mktemp("joined")
    settings = shapes.settings(
        decoder={"type": "aoa", "units": 16, "attention_units": 16, "heads": 2, "standardise": True},
        features={"cache": str(folder / "cache")},
        training={"epochs": 2, "cached_crops": 1},
        evaluation={"after_training": None},
    )
    settings["decoder"].pop("mode", None)
    random = {"type": "small_cnn", "weights": "none", "output": "grid"}
    settings["encoder"] = [{**random, "image_size": 96}, {**random, "image_size": 64}]
    config = load_config(settings)
    train(config, folder / "run")
    return folder, config


def test_an_image_has_the_features_of_the_stores(joined):
    folder, config = joined
    captioner = Captioner.load(folder / "run")
    prepared = prepare_splits(config, "test")
    records = prepared.split("test")[:5]
    stored = prepared.source.gather(prepared.source.rows([r.image_id for r in records]))
    found = captioner.features([r.path for r in records])
    assert found.shape[1:] == captioner.feature_shape == prepared.feature_shape
    np.testing.assert_allclose(found, stored.astype("float32"), rtol=5e-3, atol=5e-3)
    assert str(captioner.caption(records[0].path)) == str(captioner.caption_features(stored[:1])[0])
    maps = captioner.caption(records[0].path, attention=True)
    assert maps.attention.shape[0] == len(maps.words) and np.prod(maps.attention.shape[1:]) == found.shape[1]


def test_the_scale_of_the_features_is_in_the_checkpoint(joined):
    folder, config = joined
    prepared = prepare_splits(config, "train")
    seen = prepared.source.gather(prepared.source.rows([r.image_id for r in prepared.split("train")]))
    mean = np.asarray(Captioner.load(folder / "run").model.decoder.standardise.mean)
    np.testing.assert_allclose(mean, seen.astype("float32").mean(axis=(0, 1)), rtol=0.05, atol=0.02)


def test_only_training_creates_views(joined):
    folder, config = joined
    stores = sorted(path.name for path in (folder / "cache").iterdir())
    assert len(stores) == 4 and sum(name.endswith("-view1") for name in stores) == 2
    elsewhere = folder / "elsewhere"
    overrides = [f"features.cache={elsewhere}", "decoding.rerank.type=mbr", "decoding.rerank.neighbours=3"]
    evaluate(folder / "run", "test", overrides)  # which reads the uncropped training images
    assert len(list(elsewhere.iterdir())) == 2


def test_every_encoder_must_be_that_of_the_training(joined):
    folder, config = joined
    require_encoder(config, folder / "run")
    note = folder / "run" / "encoder_2" / "encoder.json"
    text = note.read_text()
    try:
        note.write_text(text.replace("small_cnn", "vgg16"))
        with pytest.raises(CheckpointError, match="another encoder"):
            require_encoder(config, folder / "run")
    finally:
        note.write_text(text)


@pytest.mark.parametrize(
    ("views", "pairs", "says"),
    [
        (1, "[[left, right]]", []),
        (0, "[[gauche, droite]]", []),
        (1, "[[left, right], [gauche, droite], [links, right]]", ["1 of 3 pairs", "gauche/droite and 1 more"]),
    ],
)
def test_unknown_words_for_sides_are_reported(joined, views, pairs, says, log_lines):
    """Only if images are mirrored."""
    folder, config = joined
    lines = log_lines
    captioner = Captioner.load(folder / "run")
    overrides = [f"training.cached_crops={views}", f"training.flip_word_pairs={pairs}"]
    captioner = captioner.with_config(load_config(config.model_dump(mode="json"), overrides))
    TrainingImages.of(captioner, prepare_splits(captioner.config, "train", "dev"))
    told = [line for line in lines if "flip_word_pairs" in line]
    assert len(told) == bool(says) and all(one in told[0] for one in says)
