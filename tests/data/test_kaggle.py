"""Kaggle's layout: a small example and the real dataset."""

import json

import pytest

from capsmith.core.errors import DataError
from capsmith.data import read_dataset
from capsmith.data.flickr8k import Flickr8kConfig
from capsmith.data.kaggle import KaggleConfig


@pytest.fixture
def root(tmp_path):
    (tmp_path / "Images").mkdir()
    lines = ["image,caption"]
    for number in range(20):
        (tmp_path / "Images" / f"{number}.jpg").write_bytes(b"")
        lines += [f'{number}.jpg,"A dog , number {number} ."', f"{number}.jpg,A dog ."]
    (tmp_path / "captions.txt").write_text("\n".join(lines))
    return tmp_path


def test_commas_inside_quotes(root):
    corpus = read_dataset(KaggleConfig(root=root))
    assert corpus.records[7].captions == ("A dog , number 7 .", "A dog .")
    assert [len(corpus.split(name)) for name in ("train", "dev", "test")] == [16, 2, 2]


def test_the_seeded_split_does_not_depend_on_row_order(root):
    before = {r.image_id: r.split for r in read_dataset(KaggleConfig(root=root)).records}
    head, *rows = (root / "captions.txt").read_text().split("\n")
    (root / "captions.txt").write_text("\n".join([head, *rows[::-1]]))
    assert {r.image_id: r.split for r in read_dataset(KaggleConfig(root=root)).records} == before


def test_lists(root):
    for split, name in (("train", "1"), ("dev", "2"), ("test", "3")):
        (root / f"Flickr_8k.{split}Images.txt").write_text(f"{name}.jpg\n")
    corpus = read_dataset(KaggleConfig(root=root, lists={}))
    assert [corpus.split(name)[0].image_id for name in ("train", "dev", "test")] == [
        "1.jpg",
        "2.jpg",
        "3.jpg",
    ]
    assert len(corpus.split("")) == 17


def test_a_file_that_holds_its_rows_three_times(root):
    path = root / "captions.txt"
    head, rows = path.read_text().split("\n", 1)
    path.write_text("\n".join([head, rows, rows, rows]))
    with pytest.raises(DataError, match="20 of 120 .*20 × duplicate"):
        read_dataset(KaggleConfig(root=root))


@pytest.mark.shared
def test_the_real_dataset_has_the_captions_of_the_official_files(shared):
    official = read_dataset(Flickr8kConfig(root=shared / "flickr8k"))
    kaggle = read_dataset(KaggleConfig(root=shared / "flickr8k", lists={}, max_bad_fraction=0))
    assert kaggle.records == official.records
    assert kaggle.problems.summary() == ""


@pytest.mark.shared
def test_the_test_split_has_the_published_references(shared):
    golden = json.loads((shared / "golden" / "flickr8k_refs" / "test_refs_raw.json").read_text())
    references = read_dataset(KaggleConfig(root=shared / "flickr8k", lists={})).references("test")
    assert {name: sorted(captions) for name, captions in references.items()} == {
        name: sorted(captions) for name, captions in golden.items()
    }
