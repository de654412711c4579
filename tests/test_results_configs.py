"""Kept configs and the commands of figures have the keys of today, and decode as the rows are defined."""

import re
import shlex
from itertools import pairwise

import pytest

from capsmith.cli import main
from capsmith.config import load_config
from tools import measures
from tools.paths import RESULTS, read_summary
from tools.rows import ROWS

SUMMARY = read_summary()
CONFIGS = sorted(RESULTS.rglob("config.yaml"))
SEGMENTS = [
    (name, segment)
    for name, entry in {entry["command"]: (name, entry) for name, entry in reversed(SUMMARY.items())}.values()
    for segment in re.split(r"&&|;", entry["command"])
    if re.search(r"(capsmith|memory) (train|evaluate) ", segment)
]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.parent.relative_to(RESULTS)))
def test_kept_configs_have_the_keys_of_today(path, capsys):
    assert main(["validate", "--config", str(path), "--no-files", "--quiet"]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("name, segment", SEGMENTS, ids=[name for name, _ in SEGMENTS])
def test_commands_of_figures_have_the_keys_of_today(name, segment):
    """A training's overrides fit its config; those of an evaluation fit the kept config of the row."""
    words = shlex.split(segment.replace("$s", "1").replace("$p", "float32").replace("; done", ""))
    overrides = [value for option, value in pairwise(words) if option == "--set"]
    if "train" in words:
        load_config(words[words.index("--config") + 1], overrides)
    else:
        prefix, row, *_ = name.split(".")
        kept = RESULTS / "starter/runs/starter_scst" if prefix != "flickr8k" else RESULTS / ROWS[row].folders[0]
        load_config(kept / "config.yaml", overrides)


@pytest.mark.parametrize("name", ROWS)
def test_the_command_of_a_row_decodes_as_the_row_is_defined(name):
    segment = [segment for figure, segment in SEGMENTS if figure.split(".")[1] == name][-1]
    words = shlex.split(segment.replace("$s", "1").replace("; done", ""))
    overrides = [value for option, value in pairwise(words) if option == "--set"]
    if "train" in words:
        config = words[words.index("--config") + 1]
    else:
        run = words[words.index("evaluate") + 1]
        config = "flickr8k_scst.yaml" if "scst" in run else "flickr8k_attention.yaml"
        overrides = [override for override in overrides if not override.startswith("encoder")]
    decoding = measures.flatten(load_config(config, overrides).decoding.model_dump())
    assert {key: decoding[key] for key in ROWS[name].search} == ROWS[name].search
