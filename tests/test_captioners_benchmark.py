"""How captioners are compared: each in a process of its own, on the same images."""

import shlex
import sys
from pathlib import Path

import pytest
import yaml

from benchmarks import captioners
from tests.support import shapes

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")

PROGRAM = """
import json, sys, time
kept = b"x" * {kept}
for line in sys.stdin:
    colour, shape, side, _ = line.rpartition("/")[2].split("_")
    time.sleep({seconds})
    print(json.dumps({{"caption": f"a {{colour}} {{shape}} on the {{side}}", "image": line[:-1]}}), flush=True)
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("programs")
    names = []
    for name, values in (("small", {"kept": 1, "seconds": 0}), ("large", {"kept": 300_000_000, "seconds": 0.04})):
        (folder / f"{name}.py").write_text(PROGRAM.format(**values))
        names.append("exec:" + shlex.join([sys.executable, str(folder / f"{name}.py")]))
    return names


@pytest.fixture(scope="module")
def made(models, tmp_path_factory):
    config = tmp_path_factory.mktemp("config") / "shapes.yaml"
    config.write_text(yaml.safe_dump(shapes.settings()))
    return captioners.compared(models, str(config), [], "dev", 6)


def test_scores_are_those_of_the_captions(made, models):
    for model in models:
        row = made[model]
        assert len(row["captions"]) == 6
        assert row["scores"]["bleu4"][0] == 1 > row["control"]["bleu4"]
        assert all("n:6" in signature for signature in row["signatures"].values())


def test_a_slower_and_larger_program_is_so_in_the_table(made, models):
    small, large = (made[model] for model in models)
    assert large["memory_mb"] > small["memory_mb"] + 250
    for key in ("one_ms", "many_ms"):
        assert 40 < large[key] < 1000 and small[key] < large[key]
    assert small["weights_mb"] is None and large["load_s"] > 0


def test_the_table_has_a_row_for_each_model(made, models):
    heading, first, second = captioners.rows(made)
    assert len(heading) == len(first) == len(second)
    assert [row[heading.index("weights MB")] for row in (first, second)] == ["–", "–"]
    assert first[0].endswith("small.py") and len(first[0]) <= 40


def test_the_weights_of_an_export_are_its_files():
    from capsmith.core.starter import STARTER_DATA

    captioner, megabytes = captioners.load("starter")
    assert megabytes == sum(path.stat().st_size for path in Path(STARTER_DATA).glob("*.onnx")) / 1e6
    assert captioner.config.decoding.type == "beam"


def test_a_model_that_fails_is_named(made):
    with pytest.raises(RuntimeError, match="exec:false.*exit code 1"):
        captioners.measured("exec:false", [str(next((shapes.data() / "images").iterdir()))])
