"""A BLIP in commands and in the service: the captions are those of transformers alone."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

if not (find_spec("transformers") and find_spec("torch")):
    pytest.skip("transformers and torch are not installed: pip install 'capsmith[blip]'", allow_module_level=True)

from capsmith.cli import main
from tests.support import shapes
from tests.support.toy_blip import captions_by_transformers, make_blip

PAPER = {"num_beams": 3, "max_length": 21, "length_penalty": 1.0}
"""The search by default, with the start token counted."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_blip(tmp_path_factory.mktemp("blip") / "model")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three images of other sizes than the network's, one of them a large JPEG."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(4)
    for name, shape in (("a.png", (45, 80, 3)), ("b.jpg", (301, 640, 3)), ("c.png", (32, 32, 3))):
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).resize(shape[1::-1]).save(folder / name)
    return sorted(folder.iterdir())


def test_caption(folder, photos, capsys):
    assert main(["caption", f"blip:{folder}", *map(str, photos)]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [text for _, text in lines] == captions_by_transformers(folder, photos, **PAPER)
    assert len({text for _, text in lines}) > 1


def test_the_search_can_be_set(folder, photos, capsys):
    changes = ["--set", "decoding.beam_size=1", "--set", "decoding.max_length=6"]
    assert main(["caption", f"blip:{folder}", *map(str, photos), "--json", *changes]) == 0
    made = [json.loads(line)["caption"] for line in capsys.readouterr().out.splitlines()]
    assert made == captions_by_transformers(folder, photos, num_beams=1, max_length=7)


@pytest.mark.parametrize("change", ["decoding.no_repeat=2", "decoding.type=sample", "decoding.max_length=500"])
def test_settings_that_it_does_not_have_are_one_line(folder, photos, capsys, change):
    assert main(["caption", f"blip:{folder}", str(photos[0]), "--set", change]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_evaluate(folder, tmp_path, capsys):
    config, out = shapes.trained() / "config.yaml", tmp_path / "report"
    command = ["evaluate", f"blip:{folder}", "--dataset", str(config), "--out", str(out), "--split", "dev", "--json"]
    assert main(command) == 0
    result = json.loads(capsys.readouterr().out)
    predictions = [json.loads(line) for line in (out / "dev" / "predictions.jsonl").read_text().splitlines()]
    assert len(predictions) == result["images"] > 5
    assert len({one["caption"] for one in predictions}) > 1


def test_serve(folder, photos):
    from capsmith.deploy.serving.app import create_app
    from capsmith.deploy.serving.loading import prepare
    from capsmith.deploy.serving.models import Models, named_paths
    from capsmith.deploy.serving.settings import ServeSettings
    from tests.support.service import client_of

    settings = ServeSettings()
    (named,) = named_paths([f"other=blip:{folder}"])
    models = Models.of(prepare(named, settings)())
    with client_of(create_app(models, settings)) as client:
        for photo, expected in zip(photos, captions_by_transformers(folder, photos, **PAPER), strict=True):
            answer = client.post("/v1/captions", files={"image": (photo.name, photo.read_bytes(), "image/png")})
            assert answer.status_code == 200, answer.text
            assert answer.json()["results"][0]["caption"] == expected
        sent = {"image": ("a.png", photos[0].read_bytes(), "image/png")}
        answer = client.post("/v1/captions", files=sent, data={"prefix": "the dog", "n": "2"}).json()["results"][0]
        assert answer["caption"].startswith("the dog")
