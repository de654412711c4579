import json
import shutil

import pytest
from PIL import Image

import shapes
from capsmith import Captioner
from capsmith.cli import main

SCENES = [("red", "bar", "left"), ("blue", "square", "right"), ("white", "pole", "left")]


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for scene in SCENES:
        shutil.copy(shapes.data() / "images" / f"{'_'.join(scene)}_4.png", folder / f"{scene[0]}.png")
    return folder


@pytest.fixture(scope="module")
def captioner():
    return Captioner.load(shapes.trained())


def caption(*arguments):
    return main(["caption", str(shapes.trained()), *map(str, arguments)])


def test_a_line_a_picture(pictures, captioner, capsys):
    paths = [pictures / "red.png", pictures / "blue.png"]
    assert caption(*paths) == 0
    expected = [f"{path}\t{captioner.caption(path).text}" for path in paths]
    assert capsys.readouterr().out.splitlines() == expected


def test_a_folder_in_order_of_names(pictures, capsys):
    (pictures / "notes.txt").write_text("no picture")
    Image.open(pictures / "red.png").save(pictures / "UPPER.JPG")
    assert caption(pictures) == 0
    names = [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()]
    assert names == [str(pictures / name) for name in ("UPPER.JPG", "blue.png", "red.png", "white.png")]


def test_help_says_that_folders_can_be_given(capsys):
    with pytest.raises(SystemExit):
        main(["caption", "--help"])
    assert "IMAGE|FOLDER" in capsys.readouterr().out


def test_json_has_all_beams(pictures, captioner, capsys):
    assert caption(pictures / "red.png", "--json", "--set", "decoding.beam_size=4") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["image"] == str(pictures / "red.png")
    assert len(found["beams"]) == 4
    assert found["beams"][0]["caption"] == found["caption"]
    scores = [beam["score"] for beam in found["beams"]]
    assert scores == sorted(scores, reverse=True)
    assert found["caption"] == captioner.caption(pictures / "red.png").text


def test_a_broken_picture_does_not_stop_the_others(pictures, capsys):
    (pictures / "broken.png").write_bytes(b"\x89PNG broken")
    assert caption(pictures, pictures / "none.jpg") == 2
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 3
    errors = shown.err.splitlines()
    assert len(errors) == 2
    assert all(line.startswith("capsmith: ") for line in errors)
    assert "broken.png" in errors[0]
    assert "none.jpg" in errors[1]


def test_a_folder_without_pictures(tmp_path, capsys):
    assert caption(tmp_path) == 2
    shown = capsys.readouterr()
    assert "holds no images" in shown.err
    assert shown.out == ""


def test_show_draws_them(pictures, tmp_path, capsys):
    assert caption(pictures, "--show", tmp_path / "new" / "out.png") == 0
    with Image.open(tmp_path / "new" / "out.png") as sheet:
        assert sheet.size[0] > 300
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_another_search(pictures, capsys):
    assert caption(pictures / "red.png", "--set", "decoding.type=greedy", "--set", "decoding.max_length=2") == 0
    assert len(capsys.readouterr().out.split("\t")[1].split()) == 2
