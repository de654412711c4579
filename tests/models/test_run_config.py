"""The config of a run, and the changes that it allows."""

import pytest

from capsmith.config import load_config, save_config
from capsmith.core.errors import CheckpointError, ConfigError
from capsmith.models.run_config import run_config, run_configs
from tests.support.configs import BASE


@pytest.fixture
def run(tmp_path):
    save_config(load_config(BASE), tmp_path / "run" / "config.yaml")
    return tmp_path / "run"


def test_a_runs_config_allows_some_changes(run):
    assert run_config(run) == load_config(BASE)
    changes = ["decoding.type=beam", "data.root=elsewhere", "features.cache=there", "evaluation.metrics=[bleu]"]
    assert run_config(run, [*changes, "encoder.weights=moved.weights.h5"]) == load_config(
        BASE, [*changes, "encoder.weights=moved.weights.h5"]
    )


@pytest.mark.parametrize(
    "override",
    ["decoder.units=3", "text.lowercase=false", "encoder.layer=x", "training.epochs=3", "decoder.type=merge"],
)
def test_settings_of_the_trained_model_cannot_be_changed(run, override):
    with pytest.raises(ConfigError, match="--set") as caught:
        run_config(run, [override])
    assert override.split("=")[0] in str(caught.value)


def test_a_damaged_run_is_a_checkpoint_error(run):
    (run / "config.yaml").write_text("seed: 1\nmade: by hand\n")
    with pytest.raises(CheckpointError, match="cannot be used") as caught:
        run_config(run)
    assert "\n" not in str(caught.value)


def test_a_run_of_an_earlier_version_loads(run):
    """Renamed keys are migrated."""
    path = run / "config.yaml"
    config = load_config(BASE, ["encoder.pretrain_on_words.output=x", "encoder.pretrain_on_words.min_images=3"])
    save_config(config, path)
    path.write_text(path.read_text().replace("min_images", "min_pictures").replace("pretrain_on_words", "adapt"))
    assert run_config(run) == config


def test_an_ensemble_uses_the_search_of_its_first_run(run):
    first, second = run_configs([run, run], ["decoding.max_length=9", "evaluation.examples=3", "features.cache=x"])
    assert (first.decoding.max_length, first.evaluation.examples) == (9, 3)
    assert second.decoding == load_config(BASE).decoding and second.evaluation == load_config(BASE).evaluation
    assert first.features == second.features != load_config(BASE).features
