"""Listing the images of a folder."""

import os
from unittest import mock

import pytest

from capsmith.core.errors import DataError
from capsmith.data.image_folder import ImageFolder
from capsmith.data.image_listing import is_image_name, list_images
from capsmith.data.record_builder import IMAGES
from capsmith.vision.image_formats import IMAGE_ENDINGS


def fill(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return folder


def test_every_command_has_the_same_endings(tmp_path):
    fill(tmp_path, *(f"a{ending}" for ending in IMAGE_ENDINGS), *(f"b{ending.upper()}" for ending in IMAGE_ENDINGS))
    fill(tmp_path, "c.txt", "d", "e.jpg.txt", "f.jpgx", "jpg")
    listing = list_images(tmp_path)
    assert len(listing.images) == 2 * len(IMAGE_ENDINGS)
    assert ImageFolder(tmp_path).paths == frozenset(listing.images)
    assert IMAGES == IMAGE_ENDINGS
    assert listing.others == ("c.txt", "d", "e.jpg.txt", "f.jpgx", "jpg")


def test_images_at_any_depth_are_sorted(tmp_path):
    names = ["b.jpg", "a/z.png", "a/b/c/d/e.gif", "a.jpg", "B.JPG", "a b/1.webp", "a-b/10.webp", "a-b/9.webp"]
    expected = ("B.JPG", "a/b/c/d/e.gif", "a/z.png", "a b/1.webp", "a-b/10.webp", "a-b/9.webp", "a.jpg", "b.jpg")
    assert list_images(fill(tmp_path, *names)).images == expected
    made = fill(tmp_path / "other", *reversed(names))
    assert list_images(made).images == expected


def test_hidden_files_and_folders_are_ignored(tmp_path):
    fill(tmp_path, "a.jpg", "._a.jpg", ".b.png", "sub/._c.jpg", ".git/d.jpg", ".git/deep/e.jpg", "sub/f.jpg")
    listing = list_images(tmp_path)
    assert listing.images == ("a.jpg", "sub/f.jpg")
    assert listing.hidden == 4  # .git counts once
    assert ImageFolder(tmp_path).paths == {"a.jpg", "sub/f.jpg"}
    assert not is_image_name("._a.jpg") and is_image_name("a.JPG") and not is_image_name(".jpg")


def test_cycles_of_links(tmp_path):
    fill(tmp_path, "a.jpg", "sub/b.jpg", "sub/deep/c.jpg")
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    (tmp_path / "sub" / "deep" / "self").symlink_to(".")
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    assert list_images(tmp_path).images == ("a.jpg", "sub/b.jpg", "sub/deep/c.jpg")
    assert list_images(tmp_path / "sub" / "up").images == ("a.jpg", "sub/b.jpg", "sub/deep/c.jpg")


def test_a_linked_folder_is_listed_once_at_its_real_place(tmp_path):
    fill(tmp_path / "all", "z/real/a.jpg")
    fill(tmp_path / "elsewhere", "b.jpg", "deep/c.jpg")
    (tmp_path / "all" / "a-link").symlink_to(tmp_path / "all" / "z" / "real")
    (tmp_path / "all" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "all" / "again").symlink_to(tmp_path / "elsewhere")
    assert list_images(tmp_path / "all").images == ("again/b.jpg", "again/deep/c.jpg", "z/real/a.jpg")


def test_links_to_images_and_folders_named_like_images(tmp_path):
    fill(tmp_path, "real.bin", "b.jpg/inside.png")
    (tmp_path / "a.jpg").symlink_to("real.bin")
    assert list_images(tmp_path).images == ("a.jpg", "b.jpg/inside.png")


def test_unreadable_folders_are_named(tmp_path):
    fill(tmp_path, "a.jpg", "private/b.jpg", "sub/c.jpg")
    real = os.scandir

    def scandir(path="."):
        if str(path).endswith("private"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    with mock.patch("os.scandir", scandir):
        listing = list_images(tmp_path)
    assert listing.images == ("a.jpg", "sub/c.jpg")
    assert listing.unreadable == (f"{tmp_path}/private: Permission denied",)


def test_ignored_files_are_summarised_on_one_line(tmp_path):
    assert list_images(fill(tmp_path, "a.jpg")).ignored_files() == ""
    assert list_images(fill(tmp_path, "n.txt")).ignored_files() == "skipped 1 file that is not an image (n.txt)"
    fill(tmp_path, "o.txt", "p/q.csv", "r.doc", ".hidden")
    expected = "skipped 4 files that are not images (n.txt, o.txt, p/q.csv, …) and 1 hidden"
    assert list_images(tmp_path).ignored_files() == expected


def test_names_that_are_not_utf_8(tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9.jpg")
    with open(path, "wb"):
        pass
    assert list_images(tmp_path).images == ("caf\udce9.jpg",)


@pytest.mark.parametrize(
    ("name", "said"),
    [("gone", "no such folder"), ("file", "Not a directory"), ("a\0b", "null"), ("x" * 300, "too long")],
)
def test_invalid_folders(tmp_path, name, said):
    fill(tmp_path, "file")
    with pytest.raises(DataError, match=said):
        list_images(tmp_path / name)


def test_folders_deeper_than_the_longest_path(tmp_path):
    before = os.getcwd()
    try:
        os.chdir(tmp_path)
        for _ in range(30):
            os.mkdir("n" * 200)
            os.chdir("n" * 200)
        with open("a.jpg", "wb"):
            pass
    finally:
        os.chdir(before)
    listing = list_images(fill(tmp_path, "b.jpg"))
    assert listing.images == ("b.jpg",)
    assert len(listing.unreadable) == 1 and "too long" in listing.unreadable[0]
