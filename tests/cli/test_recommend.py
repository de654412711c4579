"""``capsmith recommend``."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from capsmith.cli import main
from tests.support.toy_embedder import COLOURS, ToyEmbedder


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with two photos, a library, and a run, which is the toy."""
    bank = ToyEmbedder().embed_texts([*COLOURS] * 2)
    asked = []

    def load(models=None, engine=None):
        asked.append((models, engine))
        return ToyEmbedder(bank=None if engine else bank)

    monkeypatch.setattr("capsmith.models.embedders.load_embedder", load)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("embedding: {}\n")
    (tmp_path / "photos").mkdir()
    for name in ("red", "blue"):
        Image.new("RGB", (32, 32), COLOURS[name]).save(tmp_path / "photos" / f"{name}.png")
    rows = ["caption,description,theme", '"Red, red, red.",red,moods', "Blue hour.,blue,moods", "Go!,green,nature"]
    (tmp_path / "library.csv").write_text("\n".join(rows))
    return tmp_path, asked


def run(capsys, *arguments, code=0):
    assert main(["recommend", *map(str, arguments)]) == code
    return capsys.readouterr()


def test_prints_the_best_captions(place, capsys):
    shown = run(capsys, "run", "photos/red.png", "--captions", "library.csv", "--top", "2")
    lines = shown.out.splitlines()
    assert lines[0] == "Top 2 Best Captions:" and len(lines) == 3 and shown.err == ""
    assert re.fullmatch(r"1\. Red, red, red\. \(Similarity: 1\.0000\)", lines[1])
    assert re.fullmatch(r"2\. .+ \(Similarity: -?0\.\d{4}\)", lines[2])


def test_several_photos_have_their_names_before(place, capsys):
    lines = run(capsys, "run", "photos", "photos/red.png", "--captions", "library.csv").out.splitlines()
    assert [line for line in lines if line.startswith("photos/")] == [
        "photos/blue.png",
        "photos/red.png",
        "photos/red.png",
    ]
    assert (
        lines[:3] == ["photos/blue.png", "Top 3 Best Captions:", "1. Blue hour. (Similarity: 1.0000)"]
        and lines[5] == ""
    )


def test_json_has_similarity_and_score(place, capsys):
    shown = json.loads(run(capsys, "run", "photos/red.png", "--captions", "library.csv", "--json").out)
    assert shown["image"] == "photos/red.png" and shown["correction"] == "inverted_softmax"
    first = shown["captions"][0]
    assert {*first} == {"rank", "caption", "similarity", "score", "theme", "description"}
    assert first["rank"] == 1 and first["theme"] == "moods" and first["score"] != first["similarity"]


def test_themes_and_diversity(place, capsys):
    shown = run(capsys, "run", "photos/red.png", "--captions", "library.csv", "--theme", "Nature", "--diverse").out
    assert shown.splitlines()[1].startswith("1. Go!")


def test_the_vectors_of_captions_are_kept(place, capsys):
    folder, _ = place
    run(capsys, "run", "photos/red.png", "--captions", "library.csv")
    (path,) = (folder / "cache" / "capsmith" / "libraries").iterdir()
    with np.load(path) as file:
        assert file["vectors"].shape == (3, 4)
    path.unlink()
    run(capsys, "run", "photos/red.png", "--captions", "library.csv", "--no-cache")
    assert not path.exists()


def test_runs_and_engines(place, capsys):
    folder, asked = place
    run(capsys, "run", "run", "photos/red.png", "--captions", "library.csv")
    run(capsys, "photos/red.png", "--captions", "library.csv", "--engine", "clip:tiny")
    assert [(None if m is None else [p.name for p in m], e) for m, e in asked] == [
        (["run", "run"], None),
        (None, "clip:tiny"),
    ]


def test_an_unreadable_photo_is_reported_and_the_others_are_done(place, capsys):
    folder, _ = place
    (folder / "photos" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a photo")
    shown = run(capsys, "run", "photos", "--captions", "library.csv", "--json", code=2)
    assert [json.loads(line)["image"] for line in shown.out.splitlines()] == ["photos/blue.png", "photos/red.png"]
    assert "broken.jpg" in shown.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run"], "no photo"),
        (["photos/red.png"], "photos/red.png is not a run"),
        (["photos/red.png", "run"], "photos/red.png is not a run"),
        (["run", "photos/red.png", "run"], "run is a run, but comes after"),
        (["run", "photos/red.png", "--engine", "clip:x"], "--engine clip:x"),
        (["run", "photos/red.png", "--captions", "gone.csv"], "gone.csv"),
        (["run", "photos/red.png", "--captions", "photos"], "photos"),
        (["run", "photos/red.png", "--captions", "library.csv", "--theme", "mood"], "did you mean 'moods'"),
        (["run", "photos/red.png", "--captions", "library.csv", "--top", "0"], "top 0"),
        (["run", "photos/red.png", "--captions", "library.csv", "--correction", "scls"], "did you mean 'csls'"),
        (["run", "gone.png", "--captions", "library.csv"], "gone.png"),
    ],
)
def test_mistakes_are_one_line(place, capsys, arguments, says):
    shown = run(capsys, *arguments, code=2)
    assert says in shown.err and shown.err.count("\n") == 1 and not shown.out
