"""``capsmith index`` and ``capsmith search`` on a folder of colours."""

import json

import pytest
from PIL import Image

from tests.deploy.search.conftest import capsmith, out, photos, toy  # noqa: F401  fixtures


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


@pytest.fixture
def indexed(capsmith, run, photos, out):  # noqa: F811
    assert capsmith("index", run, photos, "--out", out)[0] == 0
    return out


def test_index_says_in_one_line_what_it_did(capsmith, run, photos, out):  # noqa: F811
    assert capsmith("index", run, photos, "--out", out)[:2] == (0, [f"{out}: 8 images (8 new)"])
    assert capsmith("index", run, "--out", out, photos)[:2] == (0, [f"{out}: 8 images (8 unchanged)"])
    (photos / "bad.png").write_text("x")
    code, lines, errors = capsmith("index", run, photos, "--out", out)
    assert (code, len(lines), len(errors)) == (2, 1, 1) and "bad.png" in errors[0]


def test_a_sharded_job_prints_the_same_line(capsmith, run, photos, out, tmp_path):  # noqa: F811
    pytest.importorskip("pyarrow")
    options = ("--engine", "local", "--workers", 2, "--out")
    assert capsmith("index", run, photos, *options, out)[:2] == (0, [f"{out}: 8 images (8 new)"])
    assert capsmith("index", photos, *options, tmp_path / "other", "--engine", "clip:toy")[0] == 0
    for index, expected in ((out, {"engine": None}), (tmp_path / "other", {"engine": "clip:toy", "runs": []})):
        assert expected.items() <= json.loads((index / "index.json").read_text()).items()


def test_a_phrase_prints_scores_and_paths_best_first(capsmith, indexed, photos):  # noqa: F811
    code, lines, errors = capsmith("search", indexed, "--text", "yellow", "--top", "3")
    score, path = lines[0].split("\t")
    assert (code, len(lines), errors) == (0, 3, []) and path == str(photos / "yellow.png")
    assert float(score.removeprefix("semantic ")) > 0.99


def test_json_has_one_line_for_each_image(capsmith, indexed, photos):  # noqa: F811
    _, lines, _ = capsmith("search", indexed, "--image", photos / "red.png", "--json", "--top", 2)
    hits = [json.loads(line) for line in lines]
    assert [hit["rank"] for hit in hits] == [1, 2] and hits[0]["image"] == str(photos / "red.png")
    assert hits[0]["visual"] == 1.0 and hits[0]["semantic"] > 0.99 and hits[0]["duplicates"] == []


def test_unknown_words_are_named_in_a_note_and_only_unknown_words_are_an_error(capsmith, indexed):  # noqa: F811
    code, lines, errors = capsmith("search", indexed, "--text", "red hat hat", "--top", 1)
    assert (code, len(lines)) == (0, 1) and errors == ["note: the model does not know: hat"]
    code, lines, errors = capsmith("search", indexed, "--text", "purple hat")
    assert (code, lines, len(errors)) == (2, [], 1) and "purple hat" in errors[0]


def test_more_like_an_image_of_the_index(capsmith, indexed, photos):  # noqa: F811
    code, lines, _ = capsmith("search", indexed, "--like", "deep/red and blue.png", "--by", "both", "--top", 20)
    names = [line.split("\t")[2] for line in lines]
    assert code == 0 and len(names) == 7 and str(photos / "deep" / "red and blue.png") not in names


def test_a_threshold_that_nothing_reaches(capsmith, indexed):  # noqa: F811
    code, lines, errors = capsmith("search", indexed, "--text", "red", "--threshold", "1.5")
    assert (code, lines, len(errors)) == (0, [], 1)


def test_the_sheet_shows_the_images(capsmith, indexed, photos, tmp_path):  # noqa: F811
    sheet = tmp_path / "hits.png"
    (photos / "white.png").unlink()
    for _ in range(2):  # its own file is replaced
        assert capsmith("search", indexed, "--image", photos / "red.png", "--show", sheet)[0] == 0
    with Image.open(sheet) as image:
        colours = {colour for _, colour in image.convert("RGB").quantize(64).convert("RGB").getcolors(1 << 24)}
    assert any(r > 200 and g < 60 and b < 60 for r, g, b in colours) and image.width > 800
    code, _, errors = capsmith("search", indexed, "--image", photos / "red.png", "--show", photos / "red.png")
    assert code == 2 and "red.png" in errors[0]


def test_the_model_is_found_through_the_index(capsmith, indexed, run):  # noqa: F811
    run.rmdir()
    code, _, errors = capsmith("search", indexed, "--text", "red")
    assert code == 2 and str(run) in errors[0] and "--model" in errors[0]
    assert capsmith("search", indexed, "--text", "red", "--model", run.parent)[0] == 0
    assert capsmith("search", indexed, "--like", "red.png")[0] == 0
