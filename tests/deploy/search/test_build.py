"""An index follows its folder: nothing is encoded twice, nothing lost or doubled."""

import os
import shutil
import subprocess
import sys
import time

import pytest

from capsmith.core.errors import ConfigError, DataError
from capsmith.deploy.search import ImageIndex, IndexBusy, IndexModelError, build_index
from capsmith.deploy.search.writer import IndexWriter
from capsmith.models.caption import Caption
from tests.support.toy_embedder import COLOURS, ToyEmbedder
from tests.support.toy_index import hash_of, picture, stored


def counts(report):
    names = ("new", "changed", "moved", "deleted", "unchanged")
    return {name: count for name in names if (count := getattr(report, name))}


def best(index, text):
    return index.search_text(text, top=1)[0].path


def test_every_image_is_indexed_once_and_found_by_its_colour(photos, out, toy):
    report = build_index(photos, out, toy)
    assert counts(report) == {"new": 8} and report.total == 8 and not report.failed
    assert {name: hash for name, (hash, *_) in stored(out).items()} == {
        str(path.relative_to(photos)): hash_of(path) for path in photos.rglob("*.png")
    }
    with ImageIndex.open(out, toy) as index:
        assert {colour: best(index, colour) for colour in COLOURS} == {colour: f"{colour}.png" for colour in COLOURS}
        assert best(index, "blue red") == "deep/red and blue.png"


def test_an_unchanged_folder_is_not_read_again(photos, out, toy, monkeypatch):
    build_index(photos, out, toy)
    before, encoded = stored(out), toy.encoded
    monkeypatch.setattr("capsmith.deploy.search.encoding.read_image", lambda *_: pytest.fail("read again"))
    assert counts(build_index(photos, out, toy)) == {"unchanged": 8}
    assert (stored(out), toy.encoded) == (before, encoded)


def test_new_changed_moved_and_deleted_images(photos, out, toy):
    build_index(photos, out, toy)
    with ImageIndex.open(out, toy) as index:
        moved = index.find("red.png")
        shutil.move(photos / "red.png", photos / "deep" / "rot.png")
        picture("yellow", seed=9).save(photos / "blue.png")
        (photos / "green.png").unlink()
        picture("white", "black", seed=8).save(photos / "grey.png")
        encoded = toy.encoded
        report = build_index(photos, out, toy, batch_size=1)
        assert counts(report) == {"new": 1, "changed": 1, "moved": 1, "deleted": 1, "unchanged": 5}
        assert toy.encoded - encoded == 2 == report.encoded
        # the open index follows
        assert index.find("deep/rot.png") == moved and best(index, "red") == "deep/rot.png"
        assert {hit.path for hit in index.search_text("yellow", top=2)} == {"blue.png", "yellow.png"}
        assert "green.png" not in {hit.path for hit in index.search_text("green", top=100)}
        assert best(index, "white black") == "grey.png"
    assert {name: hash for name, (hash, *_) in stored(out).items()} == {
        str(path.relative_to(photos)): hash_of(path) for path in photos.rglob("*.png")
    }


def test_images_of_one_content_share_a_vector_and_touched_files_are_unchanged(photos, out, toy):
    build_index(photos, out, toy)
    shutil.copyfile(photos / "red.png", photos / "copy.png")
    os.utime(photos / "blue.png", (1, 1))
    encoded = toy.encoded
    assert counts(build_index(photos, out, toy)) == {"new": 1, "unchanged": 8} and toy.encoded == encoded
    assert stored(out)["copy.png"] == stored(out)["red.png"]
    (photos / "red.png").unlink()
    assert counts(build_index(photos, out, toy)) == {"deleted": 1, "unchanged": 8}
    with ImageIndex.open(out, toy) as index:
        assert best(index, "red") == "copy.png"


def test_two_new_files_of_one_content(photos, out, toy):
    for number in range(9):
        shutil.copyfile(photos / "red.png", photos / f"copy{number}.png")
    build_index(photos, out, toy, batch_size=1)
    assert len({hash for hash, *_ in stored(out).values()}) == 8 and len(stored(out)) == 17


def test_names_that_exchange_their_contents(photos, out, toy):
    build_index(photos, out, toy)
    red, blue = (photos / "red.png").read_bytes(), (photos / "blue.png").read_bytes()
    (photos / "red.png").write_bytes(blue)
    (photos / "blue.png").write_bytes(red)
    os.utime(photos / "red.png", (1, 1))
    os.utime(photos / "blue.png", (1, 1))
    encoded = toy.encoded
    assert counts(build_index(photos, out, toy)) == {"changed": 2, "unchanged": 6} and toy.encoded == encoded
    with ImageIndex.open(out, toy) as index:
        assert (best(index, "red"), best(index, "blue")) == ("blue.png", "red.png")


def test_unreadable_images_are_reported_each_time_and_found_once_they_are_repaired(photos, out, toy):
    (photos / "note.png").write_text("buy milk")
    (photos / "empty.jpg").touch()
    (photos / "gone.png").symlink_to("nowhere.png")
    for _ in range(2):
        report = build_index(photos, out, toy)
        assert report.total == 8
        assert sorted(str(error).split(": ")[0].split("/")[-1] for error in report.failed) == [
            "empty.jpg",
            "gone.png",
            "note.png",
        ]
    picture("green", "black", seed=7).save(photos / "note.png")
    assert counts(build_index(photos, out, toy)) == {"new": 1, "unchanged": 8}
    with ImageIndex.open(out, toy) as index:
        assert best(index, "green black") == "note.png"


def test_an_image_that_became_unreadable_is_not_found_any_more(photos, out, toy):
    build_index(photos, out, toy)
    (photos / "red.png").write_text("x")
    build_index(photos, out, toy)
    with ImageIndex.open(out, toy) as index:
        assert "red.png" not in {hit.path for hit in index.search_text("red", top=20)} and len(index) == 7


def test_odd_names_and_links(photos, out, toy, tmp_path):
    names = [b"\xe9t\xe9.png", "日本 \n犬.png".encode(), b"-x.png", b"a'b\".PNG"]
    for seed, name in enumerate(names):
        picture("yellow", "black", seed=50 + seed).save(photos / "x.png")
        os.rename(os.fsencode(photos / "x.png"), os.path.join(os.fsencode(photos), name))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    picture("white", "blue", seed=60).save(elsewhere / "linked.png")
    (photos / "link").symlink_to(elsewhere)
    (photos / "again").symlink_to(photos)
    assert build_index(photos, out, toy).total == 13
    with ImageIndex.open(out, toy) as index:
        found = {index.path(hit.id) for hit in index.search_text("yellow black", top=4, fold=False)}
        assert {os.path.basename(os.fsencode(path)) for path in found} == set(names)
        assert best(index, "white blue") == "link/linked.png"


def test_only_the_folder_itself_without_recursion(photos, out, toy):
    assert build_index(photos, out, toy, recursive=False).total == 6


def test_images_in_a_folder_that_cannot_be_read_are_kept(photos, out, toy, monkeypatch):
    build_index(photos, out, toy)
    real = os.scandir

    def scandir(path="."):
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr("os.scandir", scandir)
    report = build_index(photos, out, toy)
    assert (report.kept, report.deleted, len(report.failed)) == (2, 0, 1) and len(stored(out)) == 8


def test_a_folder_that_lost_all_images_is_an_error_and_the_index_stays(photos, out, toy):
    build_index(photos, out, toy)
    shutil.rmtree(photos)
    photos.mkdir()
    with pytest.raises(DataError):
        build_index(photos, out, toy)
    assert len(stored(out)) == 8


def test_dropped_vectors_are_removed_when_they_are_many(photos, out, toy):
    build_index(photos, out, toy)
    with ImageIndex.open(out, toy) as index:
        for name in ("black", "red", "white"):
            (photos / f"{name}.png").unlink()
        build_index(photos, out, toy)
        before, size = stored(out), (out / "semantic-0.f16").stat().st_size
        assert index.search_text("green", top=1)[0].path == "green.png"
        from capsmith.deploy.search.index_file import IndexFile

        with IndexWriter.open(out, IndexFile.of(toy), toy) as writer:
            writer.compact(least=1)
        assert stored(out) == before and len(before) == 5
        assert [path.name for path in sorted(out.glob("*.f16"))] == ["semantic-1.f16", "visual-1.f16"]
        assert (out / "semantic-1.f16").stat().st_size == size * 5 // 8
        assert index.search_text("green", top=1)[0].path == "green.png"
    assert counts(build_index(photos, out, toy)) == {"unchanged": 5}


# --- captions ---------------------------------------------------------------------------------------------------------


def test_captions_are_indexed_once_for_each_captioner(photos, out, toy):
    from capsmith.deploy.folder.pipeline import Captioned
    from capsmith.deploy.search import Captioning

    captioned = []

    def captions(paths):
        for path in paths:
            captioned.append(path.name)
            yield Captioned(path, Caption(f"a {path.stem} thing", -1.0, -1.0))

    assert build_index(photos, out, toy, Captioning("one", captions)).captioned == 8
    assert build_index(photos, out, toy, Captioning("one", captions)).captioned == 0
    with ImageIndex.open(out) as index:
        hits = index.search_words("RED thing?", top=3)
        assert [hit.path for hit in hits[:2]] == ["red.png", "deep/red and blue.png"]  # the shorter caption is first
        assert hits[0].caption == "a red thing" and hits[0].words > hits[1].words > hits[2].words
        assert index.unknown_caption_words("red hat") == ["hat"]
        assert index.search_words("' OR 1=1 --") == [] == index.search_words('"NEAR(') == index.search_words("*")
    assert build_index(photos, out, toy, Captioning("two", captions)).captioned == 8 and len(captioned) == 16


# --- other processes, models and folders ------------------------------------------------------------------------------


def test_another_model_another_folder_and_a_second_process(photos, out, toy, tmp_path):
    build_index(photos, out, toy)
    other = ToyEmbedder("other", "toy-2")
    for attempt in (lambda: build_index(photos, out, other), lambda: ImageIndex.open(out, other)):
        with pytest.raises(IndexModelError) as error:
            attempt()
        assert str(out) in str(error.value) and "toy" in str(error.value) and "--out" in str(error.value)
    (tmp_path / "others").mkdir()
    picture("red").save(tmp_path / "others" / "a.png")
    with pytest.raises(ConfigError, match="photos"):
        build_index(tmp_path / "others", out, toy)
    from capsmith.deploy.search.index_file import IndexFile

    with IndexWriter.open(out, IndexFile.of(toy), toy), pytest.raises(IndexBusy):
        build_index(photos, out, toy)


def test_a_renamed_folder_and_a_moved_pair_keep_their_index(photos, out, toy, tmp_path):
    build_index(photos, out, toy)
    renamed = photos.rename(tmp_path / "pictures")
    assert counts(build_index(renamed, out, toy)) == {"unchanged": 8}
    inside = renamed / "album.index"
    build_index(renamed, inside, toy)
    moved = renamed.rename(tmp_path / "moved")
    with ImageIndex.open(moved / "album.index", toy) as index:
        assert index.path(index.find("red.png")) == moved / "red.png"


def test_a_folder_of_something_else_is_not_touched(photos, toy, tmp_path):
    for place in (photos, tmp_path / "notes"):
        place.mkdir(exist_ok=True)
        (place / "note.txt").write_text("x")
        before = sorted(place.rglob("*"))
        with pytest.raises(ConfigError, match="--out"):
            build_index(photos, place, toy)
        assert sorted(place.rglob("*")) == before


# --- kills ------------------------------------------------------------------------------------------------------------


def test_killed_at_any_time_it_goes_on(photos, out, toy, tmp_path):
    for number in range(40):
        picture("red", "green", seed=100 + number).save(photos / f"{number}.png")
    build_index(photos, tmp_path / "whole", toy)
    command = [sys.executable, "-m", "tests.support.toy_index", str(photos), str(out)]
    for kill in range(3):
        process = subprocess.Popen([*command, "0.05"], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while _rows(out) < 8 * (kill + 1) and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.01)
        process.kill()
        process.wait()
        for path in out.glob("*.f16"):  # what the kernel had not written, or a torn write
            with path.open("ab") as file:
                file.write(b"\xff" * 37)
    done = len(stored(out))
    assert 0 < done < 48
    report = build_index(photos, out, toy)
    assert (report.new, report.unchanged) == (48 - done, done)
    assert stored(out) == stored(tmp_path / "whole")


def _rows(out):
    try:
        return (out / "semantic-0.f16").stat().st_size // 8
    except OSError:
        return 0
