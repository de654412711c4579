"""Karpathy's JSON, for Flickr and for COCO."""

import json

import pytest

from capsmith.core.errors import DataError
from capsmith.data import read_dataset
from capsmith.data.karpathy import KarpathyConfig


def _image(name, split, *captions, **more):
    return {
        "filename": name,
        "split": split,
        "sentences": [{"raw": c, "tokens": []} for c in captions],
        **more,
    }


IMAGES = [
    _image("1.jpg", "train", "A dog.", "A dog.", filepath="train2014"),
    _image("2.jpg", "restval", "A cat.", filepath="val2014"),
    _image("3.jpg", "val", "A cow.", filepath="val2014"),
    _image("3.jpg", "test", "A bird.", filepath="train2014"),
]


@pytest.fixture
def root(tmp_path):
    for entry in IMAGES:
        folder = tmp_path / "Images" / entry["filepath"]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / entry["filename"]).write_bytes(b"")
    return tmp_path


def _read(root, images, **options):
    (root / "dataset_flickr8k.json").write_text(json.dumps({"images": images, "dataset": "coco"}))
    return read_dataset(KarpathyConfig(root=root, **options))


def test_splits_and_paths(root):
    corpus = _read(root, IMAGES)
    assert [(r.image_id, r.split, r.captions) for r in corpus.records] == [
        ("train2014/1.jpg", "train", ("A dog.", "A dog.")),
        ("val2014/2.jpg", "train", ("A cat.",)),
        ("val2014/3.jpg", "dev", ("A cow.",)),
        ("train2014/3.jpg", "test", ("A bird.",)),
    ]
    assert all(record.path.is_file() for record in corpus.records)


def test_restval_can_be_dropped(root):
    corpus = _read(root, IMAGES, restval="drop")
    assert [record.image_id for record in corpus.split("train")] == ["train2014/1.jpg"]
    assert len(corpus.records) == 3


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (IMAGES[0], "duplicate row"),
        ({"filename": "1.jpg"}, "image without filename or sentences"),
        ("1.jpg", "image without filename or sentences"),
        (_image("1.jpg", "holdout", "A dog."), "unknown split (train, restval, val or test)"),
        ({**IMAGES[0], "sentences": [{"tokens": ["a"]}]}, "sentence without 'raw'"),
        (_image("x.jpg", "train", "A dog."), "missing image"),
        (_image("../x.jpg", "train", "A dog."), "id outside the image folder"),
        (_image("passwd", "train", "A dog.", filepath="/etc"), "id outside the image folder"),
    ],
)
def test_problems(root, entry, problem):
    good = _read(root, IMAGES).records
    corpus = _read(root, [*IMAGES, entry], max_bad_fraction=0.5)
    assert list(corpus.problems.by_kind) == [problem]
    assert corpus.records == good
    with pytest.raises(DataError, match="cannot be used"):
        _read(root, [*IMAGES, entry])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"image": []}, r"no list 'images'; did you mean 'image'\? \(keys found: image\)"),
        ([1], r"no list 'images' \(not an object\)"),
        ({"images": [{"file_name": "1.jpg"}], "annotations": []}, "COCO's own annotation file"),
        ({"images": []}, "no usable captions"),
    ],
)
def test_other_kinds_of_files(root, content, message):
    (root / "dataset_flickr8k.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        read_dataset(KarpathyConfig(root=root))


def test_a_truncated_file(root):
    (root / "dataset_flickr8k.json").write_text('{"images": [{"filename": "1.jp')
    with pytest.raises(DataError, match=r"dataset_flickr8k.json is not valid JSON"):
        read_dataset(KarpathyConfig(root=root))
