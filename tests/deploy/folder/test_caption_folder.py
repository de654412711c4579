import contextlib
import csv
import json
import os
import random
import subprocess
import sys
import time

import pytest

from capsmith.core.errors import CapsmithError, ConfigError
from capsmith.deploy.folder import journal
from tests.support import fake_captioner
from tests.support.fake_captioner import FakeCaptioner, caption_into, make_images


@pytest.fixture
def photos(tmp_path):
    return tmp_path / "photos"


def lines(path):
    return {row["image"]: row for row in map(json.loads, path.read_text().splitlines())}


def texts(folder):
    return {path.stem + ".png": path.read_text().rstrip("\n") for path in sorted(folder.glob("*.txt"))}


def searched(**more):
    """Captions again; returns how many images were captioned by the model."""
    captioner = FakeCaptioner()
    report = caption_into(captioner=captioner, **more)
    return report.captioned


def test_every_format_holds_every_caption(photos):
    captions = make_images(photos, 10)
    report = caption_into([photos], "txt,jsonl,csv")
    assert texts(photos) == captions
    assert {name: row["caption"] for name, row in lines(photos / "captions.jsonl").items()} == captions
    with (photos / "captions.csv").open(encoding="utf-8-sig", newline="") as file:
        assert {row["image"]: row["caption"] for row in csv.DictReader(file)} == captions
    assert report.files == [photos / "captions.jsonl", photos / "captions.csv"]
    assert (report.captioned, report.done_before, report.failed, report.kept) == (10, 0, [], [])


def test_a_second_command_uses_no_model(photos):
    make_images(photos, 6)
    caption_into([photos], "txt")
    before = texts(photos)
    (photos / "0002.txt").unlink()

    def load(*_):
        raise AssertionError("the model is loaded")

    captioner = FakeCaptioner()
    captioner.encode = load
    report = caption_into([photos], "txt,jsonl", captioner=captioner)
    assert (report.captioned, report.done_before) == (0, 6)
    assert texts(photos) == before and len(lines(photos / "captions.jsonl")) == 6


def test_new_and_changed_images_are_captioned(photos):
    captions = make_images(photos, 6)
    caption_into([photos], "txt,jsonl")
    make_images(photos / "more", 2)
    changed = photos / "0003.png"
    changed.write_bytes((photos / "0005.png").read_bytes())
    os.utime(changed, ns=(1, 1))
    assert searched(paths=[photos], write="txt,jsonl") == 3
    captions["0003.png"] = captions["0005.png"]
    assert texts(photos) == captions  # the text of the earlier caption was ours, and is replaced
    assert {*lines(photos / "captions.jsonl")} == {*captions, "more/0000.png", "more/0001.png"}


def test_another_model_or_other_settings_are_refused_unless_chosen(photos):
    make_images(photos, 4)
    caption_into([photos], "txt")
    for change in ({"model": "other"}, {"settings": {"beam_size": 5}}):
        with pytest.raises(ConfigError, match="--overwrite.*--skip-done"):
            caption_into([photos], "txt", **change)
    assert searched(paths=[photos], write="txt", model="other", skip_done=True) == 0
    assert searched(paths=[photos], write="txt", model="other", overwrite=True) == 4
    assert searched(paths=[photos], write="txt", model="other") == 0


def test_foreign_and_edited_text_files_are_kept(photos):
    captions = make_images(photos, 4)
    (photos / "0001.txt").write_text("my notes")
    report = caption_into([photos], "txt")
    assert report.kept == [str(photos / "0001.txt")] and (photos / "0001.txt").read_text() == "my notes"
    (photos / "0002.txt").write_text("edited")
    assert len(caption_into([photos], "txt").kept) == 2
    assert caption_into([photos], "txt", skip_done=True).kept == []
    assert texts(photos)["0002.png"] == "edited"
    caption_into([photos], "txt", overwrite=True)
    assert texts(photos) == captions


@pytest.mark.parametrize("name", ["captions.jsonl", "captions.csv"])
def test_a_foreign_or_edited_table_is_refused_before_any_work(photos, name):
    make_images(photos, 3)
    table, write = photos / name, name.partition(".")[2]
    table.write_text("image,caption\n")
    with pytest.raises(ConfigError, match=name):
        caption_into([photos], write)
    assert table.read_text() == "image,caption\n" and not (photos / journal.FILE).exists()
    caption_into([photos], write, overwrite=True)
    table.write_text(table.read_text() + "edited")
    with pytest.raises(ConfigError, match=name):
        caption_into([photos], write)


def test_images_that_differ_in_the_ending_have_their_own_text(photos):
    make_images(photos, 2)
    make_images(photos, 1, ".jpg")
    caption_into([photos], "txt")
    assert sorted(path.name for path in photos.glob("*.txt")) == ["0000.jpg.txt", "0000.png.txt", "0001.txt"]


def test_an_output_folder_mirrors_the_images(photos, tmp_path):
    make_images(photos / "a", 2)
    make_images(photos / "b", 1)
    before = {path: path.stat().st_mtime_ns for path in photos.rglob("*")}
    caption_into([photos / "a", photos / "b" / "0000.png"], "txt,csv", output=tmp_path / "out")
    assert {path: path.stat().st_mtime_ns for path in photos.rglob("*")} == before
    found = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")}
    assert found == {"a/0000.txt", "a/0001.txt", "b/0000.txt", "captions.csv", journal.FILE}


def test_an_output_file_names_its_format(photos, tmp_path):
    make_images(photos, 2)
    report = caption_into([photos], None, output=tmp_path / "new" / "holiday.csv")
    assert report.files == [tmp_path / "new" / "holiday.csv"]
    with pytest.raises(ConfigError, match="csv"):
        caption_into([photos], "jsonl", output=tmp_path / "holiday.csv")


def test_results_of_another_folder_are_not_replaced(photos, tmp_path):
    make_images(photos, 2)
    make_images(tmp_path / "others", 2)
    caption_into([photos], "csv", output=tmp_path / "out")
    with pytest.raises(ConfigError, match="other images"):
        caption_into([tmp_path / "others"], "csv", output=tmp_path / "out")


def test_a_moved_folder_is_still_done(photos, tmp_path):
    make_images(photos, 3)
    caption_into([photos], "txt,csv")
    photos.rename(tmp_path / "moved")
    assert searched(paths=[tmp_path / "moved"], write="txt,csv") == 0


def test_unreadable_images_are_reported_in_the_tables_and_tried_again(photos):
    captions = make_images(photos, 3)
    good = (photos / "0001.png").read_bytes()
    (photos / "0001.png").write_bytes(b"")
    report = caption_into([photos], "jsonl,csv")
    assert len(report.failed) == 1 and "0001.png" in str(report.failed[0])
    assert lines(photos / "captions.jsonl")["0001.png"] == {"image": "0001.png", "error": "the file is empty"}
    (photos / "0001.png").write_bytes(good)
    assert searched(paths=[photos], write="jsonl,csv") == 1
    assert {name: row["caption"] for name, row in lines(photos / "captions.jsonl").items()} == captions


def test_names_that_are_not_utf8_and_formulas(photos):
    photos.mkdir()
    make_images(photos, 1)
    for name in (b"caf\xe9.png", b"=1+1.png", "größe\n2.png".encode()):
        (photos / os.fsdecode(name)).write_bytes((photos / "0000.png").read_bytes())
    caption_into([photos], "txt,jsonl,csv")
    assert {*lines(photos / "captions.jsonl")} == {"0000.png", "=1+1.png", "caf\udce9.png", "größe\n2.png"}
    assert (photos / os.fsdecode(b"caf\xe9.txt")).read_text() == "colour 0 0 0\n"
    content = (photos / "captions.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf") and content.decode("utf-8")
    with (photos / "captions.csv").open(encoding="utf-8-sig", newline="") as file:
        names = [row["image"] for row in csv.DictReader(file)]
    assert "'=1+1.png" in names and "=1+1.png" not in names and "caf\\udce9.png" in names and "größe\n2.png" in names
    assert searched(paths=[photos], write="txt,jsonl,csv") == 0


def test_links_are_followed_once_and_subfolders_can_be_left_out(photos):
    make_images(photos, 2)
    make_images(photos / "deep" / "er", 1)
    (photos / "deep" / "loop").symlink_to(photos)
    (photos / "link.png").symlink_to(photos / "0001.png")
    caption_into([photos], "jsonl")
    assert [*lines(photos / "captions.jsonl")] == ["0000.png", "0001.png", "deep/er/0000.png", "link.png"]


def test_a_second_process_is_refused(photos):
    make_images(photos, 2)
    with journal.Journal.open(photos), pytest.raises(ConfigError, match="another process"):
        caption_into([photos], "txt")


def test_a_failed_start_leaves_no_journal(photos):
    make_images(photos, 2)
    (photos / "captions.csv").write_text("mine")
    with pytest.raises(ConfigError):
        caption_into([photos], "csv")
    assert not (photos / journal.FILE).exists()


def test_a_text_that_cannot_be_written_does_not_stop_the_others(photos):
    captions = make_images(photos, 3)
    (photos / "0001.txt").mkdir()
    with pytest.raises(CapsmithError, match="0001.txt"):
        report = caption_into([photos], "txt")
        raise report.failed[0]
    captions.pop("0001.png")
    assert {name: text for name, text in texts_of_files(photos).items()} == captions


def texts_of_files(folder):
    return {p.stem + ".png": p.read_text().rstrip("\n") for p in sorted(folder.glob("*.txt")) if p.is_file()}


# --- journals ---------------------------------------------------------------------------------------------------------


def test_a_torn_line_is_cut_off(photos):
    make_images(photos, 5)
    caption_into([photos], "txt")
    path = photos / journal.FILE
    content = path.read_bytes()
    place = content.index(b'"0003.png"')
    path.write_bytes(content[: place + 15])
    assert searched(paths=[photos], write="txt") == 2
    assert path.read_bytes().count(b"\n") == content.count(b"\n") + 1  # one more head, and no torn line
    assert searched(paths=[photos], write="txt") == 0


@pytest.mark.parametrize(
    "line",
    [b"not json\n", b"[1]\n", b"{}\n", b'{"image": 5}\n', b'{"journal": 2}\n', b"\xff\n", b'{"image": "a"}\n'],
    ids=repr,
)
def test_a_damaged_journal_is_refused(photos, line):
    make_images(photos, 2)
    caption_into([photos], "txt")
    path = photos / journal.FILE
    content = path.read_bytes()
    path.write_bytes(content.replace(b"\n", b"\n" + line, 1))
    with pytest.raises(CapsmithError, match="line 2"):
        caption_into([photos], "txt")


def test_an_interrupted_overwrite_goes_on(photos):
    make_images(photos, 12)
    caption_into([photos], "txt")

    def interrupt(result):
        if result.item.name == "0006.png":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        caption_into([photos], "txt", overwrite=True, show=interrupt)
    assert "5 of 12" in caught.value.__notes__[0]
    assert searched(paths=[photos], write="txt", overwrite=True) == 5
    assert searched(paths=[photos], write="txt", overwrite=True) == 12


@pytest.mark.parametrize("again", [False, True], ids=["resumed", "overwritten"])
def test_kills_lose_and_repeat_nothing(photos, tmp_path, again):
    """Each restarted process searches only images whose line was not in the journal when the last one was killed."""
    captions = make_images(photos, 400)
    if again:
        caption_into([photos], "txt,csv")
    log, path, kills = tmp_path / "log", photos / journal.FILE, 0
    command = [sys.executable, fake_captioner.__file__, str(photos), "txt,jsonl,csv", "0.004", str(log)]
    command += ["--overwrite"] if again else []
    rng = random.Random(3)
    while kills < 5 and (path.read_bytes().count(b'"end"') if path.exists() else 0) == again:
        size = path.stat().st_size if path.exists() else 0
        process = subprocess.Popen(command)
        while process.poll() is None and (path.stat().st_size if path.exists() else 0) <= size:
            time.sleep(0.005)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(rng.uniform(0, 0.1))
        process.kill()
        process.wait()
        kills += 1
        for file in photos.glob("[0-9]*.txt"):
            assert file.read_text().rstrip("\n") == captions[f"{file.stem}.png"]
    if path.read_bytes().count(b'"end"') == again:
        subprocess.run(command, check=True)
    entries = [line for line in map(json.loads, path.read_text().splitlines()) if "image" in line]
    assert kills >= 2 and len(entries) == len(captions) * (1 + again)
    assert texts(photos) == captions
    assert {name: row["caption"] for name, row in lines(photos / "captions.jsonl").items()} == captions
    assert not [name for name in os.listdir(photos) if name.startswith(".capsmith-")]
