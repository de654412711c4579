"""``capsmith describe``: text, JSON, the page, exit codes, and what is left out."""

import json
import sys

import pytest

from capsmith.cli import main
from capsmith.core.outputs import GENERATOR
from tests.support.describing import FixedDetector, SentenceCaptioner
from tests.support.toy_embedder import ToyEmbedder
from tests.support.toy_index import make_photos, picture


@pytest.fixture
def photo(tmp_path):
    picture("red", seed=77).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def toys(tmp_path, monkeypatch):
    """Replaces what is loaded by toys; returns the options that name an index and a detector."""
    from capsmith.cli import caption_model, keras_import
    from capsmith.deploy.named_captioner import NamedCaptioner
    from capsmith.deploy.search import build_index
    from capsmith.models import embedders
    from capsmith.vision import detection

    embedder = ToyEmbedder()
    build_index(make_photos(tmp_path / "photos"), tmp_path / "photos.index", embedder, engine="clip:toy")
    monkeypatch.setattr(embedders, "load_embedder", lambda models=None, engine=None: embedder)
    monkeypatch.setattr(keras_import, "load_keras", lambda: None)
    monkeypatch.setattr(detection, "load_detector", lambda model: FixedDetector(), raising=False)
    model = NamedCaptioner(None, None, [], False, SentenceCaptioner, lambda: "0")
    monkeypatch.setattr(caption_model, "plain_model", lambda name, plugins=False: model)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return ["--library", str(tmp_path / "photos.index"), "--detector", "toy.onnx"]


def test_the_starter_alone_needs_no_keras(photo, tmp_path, capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    assert main(["describe", str(photo), "--json", "--html", str(tmp_path / "out.html")]) == 0
    output = capsys.readouterr()
    record = json.loads(output.out)
    assert record["caption"]["text"] and record["omitted"].keys() >= {"objects", "similar", "recommendations"}
    assert "--detector" in output.err and "--library" in output.err
    assert "note: found" not in output.err and "images of the source" in output.err
    assert "images of the source" in (tmp_path / "out.html").read_text()
    assert GENERATOR in (tmp_path / "out.html").read_text()[:400]
    assert "keras" not in sys.modules


def test_all_parts_in_json(photo, toys, tmp_path, capsys):
    source = ["--source", str(tmp_path / "photos"), "--candidates", "3", "--query", "auto"]
    assert main(["describe", str(photo), "--json", "--top", "2", *toys, *source]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["omitted"] == record["failed"] == {}
    assert record["similar"]["look"][0]["name"] == "red.png" and len(record["similar"]["meaning"]) == 2
    assert record["found"]["images"] == 3 and record["recommendations"]["library"] == "the example library"


def test_text_has_a_line_for_each_finding(photo, toys, tmp_path, capsys):
    library = tmp_path / "mine.txt"
    library.write_text("a red thing\na blue thing\n")
    assert main(["describe", str(photo), *toys, "--captions", str(library), "--threshold", "0.75"]) == 0
    text = capsys.readouterr().out
    for part in ("two dogs", "person 0.80", "frisbee", "red.png", "1. a red thing"):
        assert part in text
    assert "dog 0.70" not in text


def test_a_folder_and_an_image_that_cannot_be_read(photo, toys, tmp_path, capsys):
    (tmp_path / "broken.png").write_text("no image")
    out = tmp_path / "out.html"
    assert main(["describe", str(tmp_path / "photos"), str(tmp_path / "broken.png"), *toys, "--html", str(out)]) == 2
    assert out.read_text().count("<article") == 8 and "broken.png" in capsys.readouterr().err


def test_a_part_that_fails_is_reported_and_the_rest_is_printed(photo, toys, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert main(["describe", str(photo), *toys, "--json", "--source", str(tmp_path / "empty")]) == 2
    output = capsys.readouterr()
    assert json.loads(output.out)["failed"].keys() == {"found"} and "empty" in output.err


def test_a_page_of_ones_own_is_kept(photo, toys, tmp_path, capsys):
    out = tmp_path / "out.html"
    out.write_text("mine")
    assert main(["describe", str(photo), *toys, "--html", str(out)]) == 2
    assert out.read_text() == "mine" and "out.html" in capsys.readouterr().err
    out.unlink()
    for _ in range(2):  # its own page is replaced
        assert main(["describe", str(photo), *toys, "--html", str(out)]) == 0
