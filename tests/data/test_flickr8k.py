"""Flickr8k's official files: a small example and the real dataset."""

import pytest

from capsmith.core.errors import DataError
from capsmith.data import DATASETS, read_dataset
from capsmith.data.flickr8k import Flickr8kConfig

TOKENS = "a.jpg#0\tA dog .\na.jpg#1\tA dog .\nb.jpg#0\tTwo cats , one hat .\nc.jpg#0\tA bird .\nd.jpg#0\tA cow .\n"


@pytest.fixture
def root(tmp_path):
    (tmp_path / "Images").mkdir()
    for name in "abcd":
        (tmp_path / "Images" / f"{name}.jpg").write_bytes(b"")
    (tmp_path / "Flickr8k.token.txt").write_text(TOKENS)
    for split, name in (("train", "a"), ("dev", "b"), ("test", "c")):
        (tmp_path / f"Flickr_8k.{split}Images.txt").write_text(f"{name}.jpg\n")
    return tmp_path


def test_captions_and_splits(root):
    corpus = read_dataset(Flickr8kConfig(root=root))
    assert [(r.image_id, r.split, r.captions) for r in corpus.records] == [
        ("a.jpg", "train", ("A dog .", "A dog .")),
        ("b.jpg", "dev", ("Two cats , one hat .",)),
        ("c.jpg", "test", ("A bird .",)),
        ("d.jpg", "", ("A cow .",)),
    ]
    assert corpus.references("dev") == {"b.jpg": ["Two cats , one hat ."]}


def test_bom_and_crlf_change_nothing(root):
    plain = read_dataset(Flickr8kConfig(root=root))
    for path in root.glob("*.txt"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_dataset(Flickr8kConfig(root=root)) == plain


def test_malformed_rows(root):
    (root / "Flickr8k.token.txt").write_text(TOKENS + "e.jpg A cow .\n")
    corpus = read_dataset(Flickr8kConfig(root=root, max_bad_fraction=0.5))
    assert corpus.problems.by_kind == {"row that is not image#number, tab, caption": ["line 6"]}
    with pytest.raises(DataError, match="1 of 6 caption rows"):
        read_dataset(Flickr8kConfig(root=root))


def test_lists_of_another_dataset(root):
    (root / "Flickr_8k.testImages.txt").write_text("x.jpg\ny.jpg\n")
    with pytest.raises(DataError, match=r"2 of 6 images .*x.jpg, y.jpg"):
        read_dataset(Flickr8kConfig(root=root))


def test_limit_applies_to_each_split(root):
    (root / "Flickr_8k.trainImages.txt").write_text("a.jpg\nd.jpg\n")
    corpus = read_dataset(Flickr8kConfig(root=root, limit=1))
    assert [record.image_id for record in corpus.records] == ["a.jpg", "b.jpg", "c.jpg"]


def test_all_formats_are_registered():
    assert DATASETS.names() == ["flickr8k", "folder", "kaggle", "karpathy", "scenes", "parquet", "webdataset"]
    assert all(DATASETS.describe().values())


@pytest.mark.shared
def test_the_real_dataset(shared):
    corpus = read_dataset(Flickr8kConfig(root=shared / "flickr8k"))
    assert [len(corpus.split(name)) for name in ("train", "dev", "test", "")] == [6000, 1000, 1000, 91]
    assert sum(len(record.captions) for record in corpus.records) == 40455
    assert {len(record.captions) for record in corpus.records} == {5}
    assert corpus.problems.by_kind == {"stray id": ["2258277193_586949ec62.jpg.1"]}
    with pytest.raises(DataError, match="1 of 8092 images cannot be used"):
        read_dataset(Flickr8kConfig(root=shared / "flickr8k", max_bad_fraction=0))
