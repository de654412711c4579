"""An encoder that learns: which layers, how fast, after a decoder that learned alone."""

import keras
import numpy as np
import pytest

from capsmith.config import load_config
from capsmith.core.errors import CheckpointError, ConfigError
from capsmith.models.captioner import Captioner
from capsmith.training.config import TrainingConfig
from capsmith.training.fit import train
from capsmith.training.history import read_csv
from capsmith.training.optimizers import build_optimizer
from capsmith.vision.config import EncoderConfig
from capsmith.vision.encoder import build_encoder
from capsmith.vision.networks import layers_by_name
from tests.support import shapes


@pytest.mark.parametrize(("settings", "decay"), [({"optimizer": "adam"}, 0), ({"optimizer": "adamw"}, 0.5)])
def test_slow_variables_move_by_their_share(settings, decay):
    """Adam's first step equals the learning rate for any gradient; the encoder has no weight decay."""
    config = TrainingConfig(learning_rate=0.1, weight_decay=decay, clip_norm=None, **settings)
    fast, slow = (keras.Variable(np.full(3, 4.0, np.float32), name=name) for name in ("fast", "slow"))
    optimizer = build_optimizer(config, [slow], 0.25)
    optimizer.apply([np.full(3, 2.0, np.float32)] * 2, [fast, slow])
    np.testing.assert_allclose(keras.ops.convert_to_numpy(slow), 4 - 0.1 * 0.25, rtol=1e-4)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(fast), 4 - 0.1 - 0.1 * decay * 4, rtol=1e-2)


def test_the_share_follows_from_the_weights():
    assert EncoderConfig(type="small_cnn").learning_rate_multiplier == 1.0
    assert EncoderConfig(type="mobilenet_v2").learning_rate_multiplier == 0.1
    assert EncoderConfig(type="mobilenet_v2", lr_multiplier=0.5).learning_rate_multiplier == 0.5


def test_only_the_last_block_learns(tmp_path):
    """Earlier layers and all batch norms are unchanged."""
    values = shapes.settings(
        encoder={"trainable": "last_block", "weights": "none"},
        training={"epochs": 2},
        evaluation={"after_training": None},
    )
    config = load_config(values)
    keras.utils.set_random_seed(config.seed)
    train(config, tmp_path / "run")
    encoder = Captioner.load(tmp_path / "run").encoder
    learned = {name for name, layer in layers_by_name(encoder.core).items() if layer.trainable_weights}
    built = build_encoder(config.encoders[0])
    names = list(layers_by_name(built.core))
    assert learned and all(names.index(name) > names.index("block4_out") for name in learned)


def frozen(tmp_path):
    values = shapes.settings(training={"epochs": 3}, evaluation={"after_training": None})
    train(load_config(values), tmp_path / "first")
    return values


def test_fine_tuning_continues_stage_one(tmp_path):
    """Stage two starts with the decoder and the encoder of stage one, and improves."""
    values = frozen(tmp_path)
    kept = str(tmp_path / "first" / "encoder.weights.h5")  # with weights given, its batch norm stays frozen
    values["encoder"] |= {"trainable": True, "lr_multiplier": 0.5, "weights": kept}
    values["training"] |= {"resume_weights_from": str(tmp_path / "first"), "epochs": 1, "learning_rate": 1e-9}
    train(load_config(values), tmp_path / "still")
    first, still = (Captioner.load(tmp_path / name) for name in ("first", "still"))
    image = next((shapes.data() / "images").glob("blue*"))
    features = [one.features([image]) for one in (first, still)]
    np.testing.assert_allclose(*features, rtol=1e-2, atol=1e-2)
    assert first.caption(image).text == still.caption(image).text
    values["training"] |= {"epochs": 4, "learning_rate": 0.003, "augment": {"mirror": True, "crop": 0.9}}
    train(load_config(values), tmp_path / "both")
    losses = [read_csv(tmp_path / name / "history.csv")[-1]["loss"] for name in ("first", "both")]
    assert losses[1] < losses[0]
    with pytest.raises(CheckpointError, match="trained its encoder"):
        back = shapes.settings(training={"resume_weights_from": str(tmp_path / "both"), "epochs": 1})
        train(load_config(back), tmp_path / "back")


def test_incompatible_settings_are_refused():
    with pytest.raises(ConfigError, match="cached_crops"):
        load_config(shapes.settings(training={"augment": {}}))
    with pytest.raises(ConfigError, match="encoder.trainable"):
        load_config(shapes.settings(encoder={"trainable": "first_block"}))
