import json
import shutil

import pytest
from PIL import Image

from capsmith import Captioner
from capsmith.cli import main
from tests.support import shapes

SCENES = [("red", "bar", "left"), ("blue", "square", "right"), ("white", "pole", "left")]


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for scene in SCENES:
        shutil.copy(shapes.data() / "images" / f"{'_'.join(scene)}_4.png", folder / f"{scene[0]}.png")
    return folder


@pytest.fixture(scope="module")
def captioner():
    return Captioner.load(shapes.trained())


def caption(*arguments):
    return main(["caption", str(shapes.trained()), *map(str, arguments)])


def test_prints_one_line_per_image(images, captioner, capsys):
    paths = [images / "red.png", images / "blue.png"]
    assert caption(*paths) == 0
    expected = [f"{path}\t{captioner.caption(path).text}" for path in paths]
    assert capsys.readouterr().out.splitlines() == expected


def test_images_of_a_folder_are_sorted_by_name(images, capsys):
    (images / "notes.txt").write_text("no image")
    Image.open(images / "red.png").save(images / "UPPER.JPG")
    assert caption(images) == 0
    names = [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()]
    assert names == [str(images / name) for name in ("UPPER.JPG", "blue.png", "red.png", "white.png")]


def test_help_mentions_folders(capsys):
    with pytest.raises(SystemExit):
        main(["caption", "--help"])
    assert "IMAGE|FOLDER" in capsys.readouterr().out


def test_json_contains_all_beams(images, captioner, capsys):
    assert caption(images / "red.png", "--json", "--set", "decoding.beam_size=4") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["image"] == str(images / "red.png")
    assert len(result["beams"]) == 4
    assert result["beams"][0]["caption"] == result["caption"]
    scores = [beam["score"] for beam in result["beams"]]
    assert scores == sorted(scores, reverse=True)
    assert result["caption"] == captioner.caption(images / "red.png").text


def test_an_unreadable_image_does_not_stop_the_others(images, capsys):
    (images / "broken.png").write_bytes(b"\x89PNG broken")
    assert caption(images, images / "none.jpg") == 2
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 3
    errors = shown.err.splitlines()
    assert len(errors) == 2
    assert all(line.startswith("capsmith: ") for line in errors)
    assert "broken.png" in errors[0]
    assert "none.jpg" in errors[1]


def test_a_folder_without_images_is_an_error(tmp_path, capsys):
    assert caption(tmp_path) == 2
    shown = capsys.readouterr()
    assert str(tmp_path) in shown.err
    assert shown.out == ""


def test_show_writes_a_contact_sheet(images, tmp_path, capsys):
    assert caption(images, "--show", tmp_path / "new" / "out.png") == 0
    with Image.open(tmp_path / "new" / "out.png") as sheet:
        assert sheet.size[0] > 300
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_set_changes_the_search(images, capsys):
    assert caption(images / "red.png", "--set", "decoding.type=greedy", "--set", "decoding.max_length=2") == 0
    assert len(capsys.readouterr().out.split("\t")[1].split()) == 2


def test_folders_are_searched_and_skipped_files_reported(images, capsys):
    (images / "deep" / "er").mkdir(parents=True)
    for name in ("deep/b.jpeg", "deep/er/a.PPM", "c.tiff", "d.jfif"):
        with Image.open(images / "red.png") as image:
            image.convert("RGB").save(images / name, None if name != "d.jfif" else "JPEG")
    for name in ("notes.txt", "deep/list.csv", "deep/raw.bin", "z\x1b[31m.doc", "._red.png", ".cache/x.jpg"):
        (images / name).parent.mkdir(exist_ok=True)
        (images / name).write_bytes(b"\0")
    (images / "deep" / "back").symlink_to(images)
    assert caption(images) == 0
    shown = capsys.readouterr()
    names = ["blue.png", "c.tiff", "d.jfif", "deep/b.jpeg", "deep/er/a.PPM", "red.png", "white.png"]
    assert [line.split("\t")[0] for line in shown.out.splitlines()] == [str(images / name) for name in names]
    (note,) = shown.err.splitlines()
    assert "4 files" in note and "(deep/list.csv, deep/raw.bin, notes.txt, …)" in note and "2 hidden" in note
    assert note.endswith(str(images))


def test_names_of_skipped_files_are_escaped(images, capsys):
    (images / "a\x1b[2J.doc").write_bytes(b"")
    assert caption(images) == 0
    assert "a\\x1b[2J.doc" in capsys.readouterr().err


def test_unreadable_images_are_reported_at_the_end(images, capfd):
    for number in range(25):
        (images / f"a{number:02}.jpg").write_bytes(b"no image")
    assert caption(images, images / "red.png") == 2
    shown = capfd.readouterr()
    assert len(shown.out.splitlines()) == 4
    errors = shown.err.splitlines()
    assert len(errors) == 21 and "a00.jpg" in errors[0] and "a19.jpg" in errors[19]
    assert "5" in errors[20] and "25" in errors[20]


def test_the_report_follows_the_captions(images, monkeypatch):
    """Both in one stream, as in a terminal."""
    from io import StringIO

    stream = StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setattr("sys.stderr", stream)
    (images / "a.jpg").write_bytes(b"no image")
    (images / "empty").mkdir()
    assert caption(images / "a.jpg", images / "empty", images / "red.png") == 2
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith(str(images / "red.png"))
    assert "empty" in lines[1] and "a.jpg" in lines[2]


def test_failures_are_reported_on_interruption(images, capsys, monkeypatch):
    (images / "a.jpg").write_bytes(b"no image")
    real = Captioner.encode

    def interrupted(self, pixels):
        if called:
            raise KeyboardInterrupt
        called.append(len(pixels))
        return real(self, pixels)

    called = []
    monkeypatch.setattr(Captioner, "encode", interrupted)
    assert caption(images, "--batch-size", 1) == 130
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 1
    assert "a.jpg" in shown.err.splitlines()[0] and shown.err.splitlines()[1].startswith("interrupted")


def test_help_explains_the_exit_code(capsys):
    with pytest.raises(SystemExit):
        main(["caption", "--help"])
    assert "Exit code: 0" in capsys.readouterr().out


def test_heic_requires_the_heic_extra(images, captioner, capsys, monkeypatch):
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener(thumbnails=False)
    with Image.open(images / "red.png") as image:
        image.convert("RGB").resize((320, 320)).save(images / "photo.HEIC", "HEIF", quality=95)
        image.convert("RGB").resize((320, 320)).save(images / "photo.avif", "AVIF", quality=95)
    assert caption(images / "photo.HEIC", images / "photo.avif") == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    assert caption(images) == 2
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 4
    assert shown.err == f"capsmith: {images}/photo.HEIC: HEIC images need pillow-heif: pip install 'capsmith[heic]'\n"


# --- results in files -------------------------------------------------------------------------------------------------


def test_write_makes_files_that_hold_the_captions(images, captioner, capsys):
    expected = {name: captioner.caption(images / name).text for name in ("blue.png", "red.png", "white.png")}
    assert caption(images, "--write", "txt,jsonl,html") == 0
    assert capsys.readouterr().out.splitlines() == [str(images / "captions.jsonl"), str(images / "captions.html")]
    assert {path.stem + ".png": path.read_text().strip() for path in images.glob("*.txt")} == expected
    rows = [json.loads(line) for line in (images / "captions.jsonl").read_text().splitlines()]
    assert {row["image"]: row["caption"] for row in rows} == expected


def test_a_second_run_loads_no_model_and_mentions_no_result(images, capsys, monkeypatch):
    assert caption(images, "--write", "txt,csv") == 0
    capsys.readouterr()
    monkeypatch.setattr(Captioner, "load_members", None)
    assert caption(images, "--write", "txt,csv") == 0
    assert "skipped" not in capsys.readouterr().err


def test_json_beside_files(images, capsys):
    assert caption(images, "--write", "txt", "--json") == 0
    first = capsys.readouterr().out
    assert [json.loads(line)["image"] for line in first.splitlines()] == [str(p) for p in sorted(images.glob("*.png"))]
    assert caption(images, "--write", "txt", "--json") == 0
    assert capsys.readouterr().out == first


def test_several_captions_of_an_image(images, capsys):
    assert caption(images / "red.png", "--write", "txt,csv", "--n", 2) == 0
    lines = (images / "red.txt").read_text().splitlines()
    assert len(lines) == len(set(lines)) == 2
    assert (images / "captions.csv").read_text().count("red.png,") == 2
    assert caption(images / "red.png", "--write", "txt") == 2
    assert "--skip-done" in capsys.readouterr().err


def test_unreadable_images_give_exit_code_2_and_the_others_files(images, capsys):
    (images / "broken.png").write_bytes(b"")
    assert caption(images, "--write", "txt") == 2
    assert "broken.png" in capsys.readouterr().err
    assert len(list(images.glob("*.txt"))) == 3


def test_an_interruption_says_how_to_go_on(images, capsys, monkeypatch):
    real, called = Captioner.encode, []

    def interrupted(self, pixels):
        called.append(1)
        if len(called) == 2:
            raise KeyboardInterrupt
        return real(self, pixels)

    monkeypatch.setattr(Captioner, "encode", interrupted)
    assert caption(images, "--write", "txt", "--batch-size", 1) == 130
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("interrupted") and "2 of 3" in line and "same command" in line
    assert caption(images, "--write", "txt", "--batch-size", 1) == 0
    assert len(called) == 4


def test_folders_below_can_be_left_out(images, capsys):
    (images / "deep").mkdir()
    shutil.copy(images / "red.png", images / "deep")
    assert caption(images, "--no-recursive") == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert caption(images, "--recursive") == caption(images) == 0
    assert len(capsys.readouterr().out.splitlines()) == 8
