"""Resolution of image names in captions files."""

import pytest

from capsmith.core.errors import DataError
from capsmith.data.folder import FolderConfig
from capsmith.data.image_names import NameResolver, base_name, is_file_name
from capsmith.data.record_builder import RecordBuilder


@pytest.fixture
def names(tmp_path):
    for name in ("a.jpg", "my photo.jpg", "sub/c.png", "#1.jpg", "a%20b.jpg", "É.JPG"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    config = FolderConfig(root=tmp_path, max_bad_fraction=1)
    return NameResolver(RecordBuilder(config, tmp_path / "captions.csv", tmp_path / "images", add_ending=True))


@pytest.mark.parametrize(
    ("given", "image_id"),
    [
        ("a.jpg", "a.jpg"),
        ("A.JPG", "a.jpg"),
        ("a", "a.jpg"),
        ("é.jpg", "É.JPG"),
        ("a.jpg#3", "a.jpg"),
        ("images/a.jpg", "a.jpg"),
        ("./images/sub/c.png", "sub/c.png"),
        ("sub\\c.png", "sub/c.png"),
        ("C:\\Users\\me\\images\\sub\\C.PNG", "sub/c.png"),
        ("\\\\server\\share\\a.jpg", "a.jpg"),
        ("/home/me/images/a.jpg", "a.jpg"),
        ("../images/a.jpg", "a.jpg"),
        ("my%20photo.jpg", "my photo.jpg"),
        ("a%20b.jpg", "a%20b.jpg"),
        ("https://example.org/x/my%20photo.jpg?raw=1#top", "my photo.jpg"),
        ("'a.jpg'", "a.jpg"),
        ("\ufeffa.jpg", "a.jpg"),
        ("#1.jpg", "#1.jpg"),
    ],
)
def test_names_resolve_to_files(names, given, image_id):
    found = names.resolve(given)
    assert (found.image_id, found.exists) == (image_id, True)
    exact = given in ("a.jpg", "a", "a%20b.jpg", "#1.jpg", "a.jpg#3", "sub\\c.png", "\ufeffa.jpg", "../images/a.jpg")
    assert bool(found.remark) is (not exact or given == "../images/a.jpg")


@pytest.mark.parametrize("given", ["b.jpg", "a.png", "../../etc/passwd", "sub/a.jpgx", "", "c", "a.jpg.1#0", "x/.."])
def test_names_without_a_file(names, given):
    assert not names.resolve(given).exists
    names.add(given, "a dog")
    names.add("a.jpg", "a dog")
    assert [record.image_id for record in names.builder.build().records] == ["a.jpg"]


def test_each_changed_name_is_reported_once(names):
    for _ in range(3):
        names.add("A.JPG", "a dog")
    names.add("images/sub/c.png", "a cat")
    corpus = names.builder.build()
    assert corpus.repaired.by_kind == {
        "image name that differs from the file name in case": ["A.JPG → a.jpg"],
        "image name with surplus leading folders": ["images/sub/c.png → sub/c.png"],
    }


def test_images_of_two_folders_are_not_merged(names):
    """train/a.jpg and val/a.jpg are two images; the folder has one."""
    names.add("train/a.jpg", "a dog")
    with pytest.raises(DataError, match=r"'train/a.jpg' and 'val/a.jpg' both resolve to the image a.jpg in .*: write"):
        names.add("val/a.jpg", "a cat")


def test_names_that_differ_in_case_only(names, tmp_path):
    (tmp_path / "images" / "A.jpg").write_bytes(b"")
    assert names.resolve("A.jpg").image_id == "A.jpg" and names.resolve("a.jpg").image_id == "a.jpg"
    assert not names.resolve("A.JPG").exists


def test_the_number_after_a_name_is_the_caption_key(names):
    for name in ("a.jpg#0", "a.jpg#1", "a.jpg#1"):
        names.add(name, "a dog")
    corpus = names.builder.build()
    assert corpus.records[0].captions == ("a dog", "a dog")
    assert corpus.problems.by_kind == {"duplicate row": ["a.jpg#1"]}


def test_base_name_and_file_endings():
    assert {base_name(name) for name in ("A.jpg", "x/a.jpg#2", "C:\\a.JPG", "http://x/a.jpg?b=/c", "'a.jpg'")} == {
        "a.jpg"
    }
    assert [is_file_name(text) for text in ("a.jpg", "A.JPG#1", ".jpg", "a dog.", "jpg", "a.csv")] == [True] * 2 + [
        False
    ] * 4
