"""Unusable rows are skipped and counted; too many are an error with examples."""

import unicodedata

import pytest

from capsmith.core.errors import DataError
from capsmith.data.folder import FolderConfig
from capsmith.data.record_builder import ImageDirectory, RecordBuilder, safe_id


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.jpg", "b.jpg", "sub/c.png"):
        (folder / name).write_bytes(b"")
    return folder


def _rows(images, max_bad_fraction=1.0, repeats=0):
    config = FolderConfig(root=images.parent, max_bad_fraction=max_bad_fraction)
    return RecordBuilder(config, images.parent / "captions.csv", images, repeats)


@pytest.mark.parametrize(
    ("given", "safe"),
    [
        ("a.jpg", "a.jpg"),
        (" a.jpg ", "a.jpg"),
        ("./sub//a.jpg", "sub/a.jpg"),
        ("a..b.jpg", "a..b.jpg"),
        ("e\u0301.jpg", "é.jpg"),
        ("../../etc/passwd", None),
        ("sub/../../x.jpg", None),
        ("/etc/passwd", None),
        ("..\\x.jpg", None),
        ("\\\\host\\x.jpg", None),
        ("C:\\x.jpg", None),
        ("a\0.jpg", None),
        ("", None),
    ],
)
def test_ids_outside_the_folder_are_refused(given, safe):
    assert safe_id(given) == safe


def test_an_id_outside_the_folder_is_a_problem(images):
    (images.parent / "secret.jpg").write_bytes(b"")
    rows = _rows(images)
    rows.add("../secret.jpg", "a secret")
    rows.add("a.jpg", "a dog")
    corpus = rows.build()
    assert [record.image_id for record in corpus.records] == ["a.jpg"]
    assert corpus.problems.by_kind == {"id outside the image folder": ["../secret.jpg"]}


def test_missing_endings_are_added(images):
    for name in ("b.png", "a.txt", "v1.0.jpg"):
        (images / name).write_bytes(b"")
    folder = ImageDirectory(images)
    given = ["a", "b", "sub/c", "c", "v1.0", "a.txt", "a.jpg", "A"]
    assert [folder.with_ending(name) for name in given] == [
        "a.jpg", "b", "sub/c.png", "c", "v1.0.jpg", "a.txt", "a.jpg", "A"
    ]  # fmt: skip


def test_records_keep_order_and_captions(images):
    rows = _rows(images, max_bad_fraction=0)
    for name, caption, split in [
        ("b.jpg", " One .", "dev"),
        ("sub/c.png", "Two", ""),
        ("b.jpg", "Three", ""),
    ]:
        rows.add(name, caption, split)
    corpus = rows.build()
    assert [(r.image_id, r.captions, r.split) for r in corpus.records] == [
        ("b.jpg", ("One .", "Three"), "dev"),
        ("sub/c.png", ("Two",), ""),
    ]
    assert all(record.path.is_file() for record in corpus.records)
    assert corpus.problems.summary() == ""


def test_each_kind_of_problem_is_counted(images):
    rows = _rows(images)
    rows.reject("row without exactly 2 fields", "line 3")
    rows.add("a.jpg", "a dog")
    rows.add("a.jpg", "a dog")
    rows.add("a.jpg", " ... ")
    rows.add("b.jpg", "")
    rows.add("absent.jpg", "a cat")
    rows.add("a.jpg.1", "a stray")
    rows.add("a.jpg.1", "a stray again")
    corpus = rows.build(lambda ids: dict.fromkeys([*ids, "listed.jpg"], "train"))
    assert [(r.image_id, r.captions) for r in corpus.records] == [("a.jpg", ("a dog",))]
    assert corpus.problems.by_kind == {
        "row without exactly 2 fields": ["line 3"],
        "duplicate row": ["a.jpg: a dog"],
        "empty caption": ["a.jpg", "b.jpg"],
        "missing image": ["absent.jpg"],
        "stray id": ["a.jpg.1"],
        "listed image without captions": ["listed.jpg"],
    }


def test_too_many_bad_rows_are_an_error(images):
    for bad, allowed in ((1, True), (2, False)):
        rows = _rows(images, max_bad_fraction=0.1)
        for number in range(10 - bad):
            rows.add("a.jpg", f"caption {number}")
        for _ in range(bad):
            rows.add("a.jpg", "")
        if allowed:
            assert len(rows.build().records[0].captions) == 9
            continue
        message = r"captions.csv: 2 of 10 caption rows cannot be used.*2 × empty caption \(a.jpg, a.jpg\); correct"
        with pytest.raises(DataError, match=message) as caught:
            rows.build()
        assert "\n" not in str(caught.value)


def test_too_many_missing_images_name_the_folder(images):
    rows = _rows(images, max_bad_fraction=0.4)
    for name in ("A.JPG", "b", "b.jpg"):
        rows.add(name, "a dog")
    message = r"2 of 3 images .*missing image \(A.JPG\).*stray id \(b\); looked in .*images, which contains 'a.jpg'"
    with pytest.raises(DataError, match=message):
        rows.build()


def test_no_usable_caption_is_an_error_at_any_limit(images):
    with pytest.raises(DataError, match=r"captions.csv has no usable captions$"):
        _rows(images).build()
    rows = _rows(images)
    rows.add("absent.jpg", "a dog")
    with pytest.raises(DataError, match=r"no usable captions: 1 × missing image"):
        rows.build()


def test_an_image_in_two_splits_is_an_error(images):
    rows = _rows(images)
    rows.add("a.jpg", "a dog", "train")
    with pytest.raises(DataError, match=r"a.jpg.*train.*test"):
        rows.add("./a.jpg", "the dog", "test")


def test_numbered_captions_may_be_equal_but_numbers_may_not(images):
    rows = _rows(images)
    for key in ("0", "1", "1"):
        rows.add("a.jpg", "a dog", key=key)
    corpus = rows.build()
    assert corpus.records[0].captions == ("a dog", "a dog")
    assert corpus.problems.by_kind == {"duplicate row": ["a.jpg#1"]}


def test_equal_captions_beyond_the_usual_count_are_duplicates(images):
    five = ["a", "b", "a", "c", "d"]
    for given, kept, dropped in ((five, five, 0), (five + five, five, 5), (["a"] * 7, ["a"] * 5, 2)):
        rows = _rows(images, repeats=5)
        for caption in given:
            rows.add("a.jpg", caption)
        corpus = rows.build()
        assert list(corpus.records[0].captions) == kept
        assert len(corpus.problems.by_kind.get("duplicate row", [])) == dropped


def test_names_in_either_unicode_form_are_found(images):
    decomposed = unicodedata.normalize("NFD", "chó.jpg")
    (images / decomposed).write_bytes(b"")
    rows = _rows(images, max_bad_fraction=0)
    rows.add("chó.jpg", "một con chó")
    record = rows.build().records[0]
    assert record.image_id == "chó.jpg"
    assert record.path.is_file()


def test_a_folder_is_not_an_image(images):
    folder = ImageDirectory(images)
    assert folder.find("sub") is None
    assert folder.find("nowhere/a.jpg") is None
    assert folder.find("sub/c.png") == images / "sub" / "c.png"


def test_each_folder_is_listed_once(images, monkeypatch):
    import os

    listed = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(path) or scandir(path))
    folder = ImageDirectory(images)
    for _ in range(3):
        folder.find("a.jpg"), folder.find("sub/c.png"), folder.find("absent.jpg")
    assert listed == [images, images / "sub"]
