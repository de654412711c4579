from pathlib import Path

import yaml

from capsmith.cli import main
from capsmith.config import load_config


def test_prints_the_complete_config(capsys):
    assert main(["validate", "--config", "flickr8k", "--no-files", "--set", "decoder.units=3"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("# ")
    assert "flickr8k.yaml is valid" in shown.splitlines()[0]
    assert load_config(yaml.safe_load(shown)) == load_config("flickr8k", ["decoder.units=3"])


def test_quiet_prints_nothing(capsys):
    assert main(["validate", "--quiet", "--no-files", "--config", "folder"]) == 0
    assert capsys.readouterr().out == ""


def test_several_errors_are_reported_at_once(capsys):
    assert main(["validate", "--config", "folder", "--set", "seed=-1", "--set", "decoder.untis=1"]) == 2
    shown = capsys.readouterr().err
    assert "has 2 errors" in shown
    assert "seed" in shown
    assert "did you mean 'units'?" in shown


def test_a_config_can_be_a_path(tmp_path, capsys):
    path = Path(tmp_path / "mine.yaml")
    path.write_text("data: {type: folder, root: x}\ndecoder: {type: merge}\n")
    assert main(["validate", "--no-files", "--config", str(path)]) == 0
    assert str(path) in capsys.readouterr().out
