"""Initial weights from another run: with the same vocabulary, or with another one."""

import shutil

import keras
import numpy as np
import pytest

from capsmith.config import load_config
from capsmith.core.errors import CheckpointError, ConfigError
from capsmith.models.captioner import Captioner
from capsmith.training.fit import train
from capsmith.training.history import read_csv
from tests.support import shapes


def greener(tmp_path, old="red", new="crimson"):
    """Returns a copy of the dataset in which a new word replaces one word of the captions."""
    place = tmp_path / "other"
    shutil.copytree(shapes.data(), place)
    table = place / "captions.csv"
    table.write_text(table.read_text().replace(f" {old} ", f" {new} "))
    return str(place)


@pytest.mark.parametrize("tied", [False, True])
def test_known_words_keep_their_weights(tmp_path, tied, log_lines):
    """Before training, the new model has the old model's logits for every word in both vocabularies."""
    decoder = {"tie_embeddings": tied}
    train(load_config(shapes.settings(decoder=decoder, training={"epochs": 2})), tmp_path / "old")
    root = greener(tmp_path)
    again = {"epochs": 1, "learning_rate": 1e-12, "ema": None, "transfer_from": str(tmp_path / "old")}
    train(load_config(shapes.settings(decoder=decoder, data={"root": root}, training=again)), tmp_path / "new")
    old, new = (Captioner.load(tmp_path / name) for name in ("old", "new"))
    assert "crimson" in new.vocabulary and "red" not in new.vocabulary
    assert any(line.endswith(f"{len(new.vocabulary) - 1:,} of {len(new.vocabulary):,} words") for line in log_lines)
    features = np.random.default_rng(0).normal(size=(3, *old.feature_shape)).astype("float32")
    words = [word for word in old.vocabulary.words if word in new.vocabulary]
    logits = []
    for one in (old, new):
        tokens = np.array([one.vocabulary.encode(["on", "the", "left"])] * 3, np.int32)
        found = keras.ops.convert_to_numpy(one.model.decoder(features, tokens))
        logits.append(found[..., one.vocabulary.encode(words)])
    np.testing.assert_allclose(logits[0], logits[1], atol=1e-4)


def test_it_learns_faster_than_from_scratch(tmp_path):
    """One word is new: one epoch is enough."""
    run, root, losses = shapes.trained(), greener(tmp_path), {}
    model = {"encoder": load_config(run / "config.yaml").encoders[0].model_dump(mode="json"), "decoder": {"units": 64}}
    for name, init in (("nothing", None), ("known", str(run))):
        changed = shapes.settings(data={"root": root}, training={"epochs": 1, "transfer_from": init}, **model)
        train(load_config(changed), tmp_path / name)
        losses[name] = read_csv(tmp_path / name / "history.csv")[0]["loss"]
    assert losses["known"] < 0.5 * losses["nothing"]


def test_weights_of_another_model_are_refused(tmp_path):
    train(load_config(shapes.settings(training={"epochs": 1})), tmp_path / "old")
    init = {"epochs": 1, "transfer_from": str(tmp_path / "old")}
    for changes, says in (
        ({"decoder": {"units": 9}}, r"training.transfer_from: .* is of another model \(decoder.units: .*, now 9\)"),
        ({"text": {"mode": "char"}}, r"another model \(text.mode: word, now char\)"),
    ):
        with pytest.raises(CheckpointError, match=says):
            train(load_config(shapes.settings(training=init, **changes)), tmp_path / "new")
    with pytest.raises(CheckpointError, match="nowhere"):
        train(load_config(shapes.settings(training={"transfer_from": str(tmp_path / "nowhere")})), tmp_path / "b")
    with pytest.raises(ConfigError, match="transfer_from.*resume_weights_from"):
        load_config(shapes.settings(training={"transfer_from": "a", "resume_weights_from": "b"}))


def test_another_vocabulary_names_transfer_from(tmp_path):
    train(load_config(shapes.settings(training={"epochs": 1})), tmp_path / "old")
    begun = {"epochs": 1, "resume_weights_from": str(tmp_path / "old")}
    with pytest.raises(CheckpointError, match=r"resume_weights_from.*vocabulary.*transfer_from"):
        changed = shapes.settings(data={"root": greener(tmp_path)}, training=begun)
        train(load_config(changed), tmp_path / "new")
