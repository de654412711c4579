"""Saved configs are rewritten with today's keys, and their comments stay."""

import shutil
from pathlib import Path

import pytest

from capsmith.config import load_config, validate
from capsmith.core.yaml_io import read_yaml
from tools.migrate_configs import migrate_config, migrated
from tools.paths import RESULTS

KEPT = sorted(RESULTS.rglob("config.yaml"))
OLD = Path(__file__).parents[1] / "core" / "old_configs" / "flickr8k_best.yaml"


def test_a_config_is_migrated_once(tmp_path):
    path = Path(shutil.copy(OLD, tmp_path / "config.yaml"))
    assert migrate_config(path)
    assert load_config(path).training.epochs == read_yaml(OLD)["training"]["epochs"]
    assert path.read_text().startswith("# decoding: that of report/scores.json")
    migrated = path.read_bytes()
    assert not migrate_config(path) and path.read_bytes() == migrated


@pytest.mark.parametrize("path", KEPT, ids=[str(path.relative_to(RESULTS)) for path in KEPT])
def test_every_kept_config_is_valid_today(path):
    validate(migrated(read_yaml(path)), str(path))
