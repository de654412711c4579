"""The page about a dataset shows its content and its problems."""

import csv
import re

import numpy as np
import pytest
from PIL import Image

from capsmith.cli import main

CAPTIONS = ("a dog on the left of a tree", "two men & a <ball>", "the sea at night", "رجل على حصان")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    rng = np.random.default_rng(0)
    for n in range(12):
        rough = Image.fromarray(rng.integers(0, 256, (5, 7, 3), np.uint8))
        rough.resize((90, 60), Image.Resampling.BICUBIC).save(tmp_path / "mine" / f"{n}.png")
    Image.open(tmp_path / "mine" / "1.png").resize((180, 120)).save(tmp_path / "mine" / "11.png")
    (tmp_path / "mine" / "2.png").write_bytes((tmp_path / "mine" / "2.png").read_bytes()[:90])
    splits = ["train"] * 8 + ["dev"] * 2 + ["test"] * 2
    with (tmp_path / "mine" / "c.csv").open("w", encoding="utf-8", newline="") as file:
        rows = [(f"{n}.png", CAPTIONS[n % 4], splits[n]) for n in range(12)] + [("gone.png", "x", "train")]
        csv.writer(file).writerows([("image", "caption", "split"), *rows])
    assert main(["init", "mine"]) == 0
    return tmp_path


def page(*arguments):
    code = main(["inspect", "--config", "mine.yaml", *arguments])
    assert code == 0
    return open("inspect/mine/index.html", encoding="utf-8").read()


def test_content_of_the_page(folder, capsys):
    text = page("--images", "12")
    out = capsys.readouterr().out
    assert out.strip().endswith("inspect/mine/index.html") and "images          12, one caption each" in out
    assert "two men &amp; a &lt;ball&gt;" in text and "<ball>" not in text
    assert '<li dir="auto">رجل على حصان</li>' in text
    assert "1 of them in different splits" in text and "1 × missing image" in text and "gone.png" in text
    assert "1 × image that cannot be read" in text and "the image cannot be read</div>" in text
    named = set(re.findall(r'src="images/([0-9a-f]{16}\.jpg)"', text))
    assert named == {path.name for path in (folder / "inspect" / "mine" / "images").glob("*.jpg")} and len(named) == 11
    bars = [(int(length), int(count)) for length, count in re.findall(r"<title>(\d+): (\d+)</title>", text)]
    assert bars == [(length, {3: 3, 4: 6, 8: 3}.get(length, 0)) for length in range(9)]


def test_another_seed_shows_other_images(folder):
    shown = [re.findall(r'<span title="([^"]+)"', page("--fast", "--images", "4", "--seed", seed)) for seed in "012"]
    assert len({tuple(names) for names in shown}) > 1 and all(len(names) == 4 for names in shown)
    assert len(list((folder / "inspect" / "mine" / "images").glob("*.jpg"))) <= 4  # the earlier ones are removed


def test_variants_are_shown_on_request(folder):
    assert "view 1, mirrored" in page("--augment", "--fast") and "view 1" not in page("--fast")


def test_fast_page_does_not_decode_images(folder):
    text = page("--fast")
    assert "cannot be read (" not in text and "same content" not in text and "missing image" in text


def test_errors_are_one_line(folder, capsys):
    assert main(["inspect", "--config", "mine.yaml", "--images", "-1"]) == 2
    assert main(["inspect", "--config", "mine.yaml", "--set", "data.root=nowhere"]) == 2
    assert all(line.startswith("capsmith: ") for line in capsys.readouterr().err.splitlines())


def test_files_that_capsmith_did_not_write_are_not_touched(folder, capsys):
    """A folder with another page or other images is refused; its files stay."""
    (folder / "theirs" / "images").mkdir(parents=True)
    (folder / "theirs" / "images" / "0001eeaf4aed83f9.jpg").write_bytes(b"mine")
    assert main(["inspect", "--config", "mine.yaml", "--out", "theirs"]) == 2
    (folder / "page").mkdir()
    (folder / "page" / "index.html").write_text("<h1>mine</h1>")
    assert main(["inspect", "--config", "mine.yaml", "--out", "page"]) == 2
    err = capsys.readouterr().err
    assert "theirs" in err and "page/index.html" in err and err.count("--out") == 2
    assert (folder / "theirs" / "images" / "0001eeaf4aed83f9.jpg").exists()
    page("--fast")
    (folder / "inspect" / "mine" / "images" / "0001eeaf4aed83f9.jpg").write_bytes(b"mine")
    page("--fast", "--seed", "3")
    assert (folder / "inspect" / "mine" / "images" / "0001eeaf4aed83f9.jpg").exists()
