from pathlib import Path

import yaml

from capsmith.cli import main
from capsmith.vision.store import FeatureStore
from tests.support import shapes


def test_writes_the_store_and_prints_its_path(tmp_path, capsys):
    path = tmp_path / "shapes.yaml"
    path.write_text(yaml.safe_dump(shapes.settings(features={"cache": str(tmp_path / "cache")})))
    for _ in range(2):
        assert main(["extract", "--config", str(path), "--set", "encoder.output=grid"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == second
    store = FeatureStore.open(Path(first))
    assert store.shape == (4, 128)
    assert "red_bar_left_0.png" in store
