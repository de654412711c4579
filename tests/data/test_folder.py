"""Custom datasets: a folder of images with a table of captions."""

import json

import pytest

from capsmith.core.errors import DataError
from capsmith.data import read_dataset
from capsmith.data.folder import FolderConfig

ROWS = [
    ("một.jpg", "Một con chó đang chạy.", "train"),
    ("một.jpg", "Con chó, trên cỏ", "train"),
    ("sub/b.png", "एक कुत्ता", "val"),
    ("c.jpg", "一只狗", "test"),
    ("d.jpg", "كلب", ""),
]


@pytest.fixture
def root(tmp_path):
    (tmp_path / "images" / "sub").mkdir(parents=True)
    for name, *_ in ROWS:
        (tmp_path / "images" / name).write_bytes(b"")
    lines = [",".join([name, f'"{caption}"', split]) for name, caption, split in ROWS]
    (tmp_path / "captions.csv").write_text("\n".join(["image,caption,split", *lines]), encoding="utf-8")
    return tmp_path


def _splits(corpus):
    return {record.image_id: record.split for record in corpus.records}


def test_a_split_column(root):
    corpus = read_dataset(FolderConfig(root=root))
    assert _splits(corpus) == {"một.jpg": "train", "sub/b.png": "dev", "c.jpg": "test", "d.jpg": ""}
    assert corpus.records[0].captions == ("Một con chó đang chạy.", "Con chó, trên cỏ")


@pytest.mark.parametrize("listed", [False, True])
def test_json_lines(root, listed):
    entries = [{"image": n, "caption": [c] if listed else c, "split": s} for n, c, s in ROWS]
    (root / "c.jsonl").write_text("\n".join(map(json.dumps, entries)))
    corpus = read_dataset(FolderConfig(root=root, captions="c.jsonl"))
    assert corpus.records == read_dataset(FolderConfig(root=root)).records


def test_column_names_can_be_configured(root):
    text = (root / "captions.csv").read_text().replace("image,caption,split", "file,text,part", 1)
    (root / "captions.csv").write_text(text)
    config = FolderConfig(root=root, image_column="file", caption_column="text", split_column="part")
    assert _splits(read_dataset(config))["c.jpg"] == "test"
    with pytest.raises(DataError, match=r"no column 'parts'; did you mean 'part'.*data.split_column"):
        read_dataset(config.model_copy(update={"split_column": "parts"}))


def test_seeded_split_without_a_split_column(root):
    lines = [",".join([name, f'"{caption}"']) for name, caption, _ in ROWS]
    (root / "captions.csv").write_text("\n".join(["image,caption", *lines]), encoding="utf-8")
    corpus = read_dataset(FolderConfig(root=root, split={"dev": 0.25, "test": 0.25}))
    assert sorted(_splits(corpus).values()) == ["dev", "test", "train", "train"]
    assert len(next(r for r in corpus.records if r.image_id == "một.jpg").captions) == 2


def test_a_split_by_caption_is_an_error(root):
    text = (root / "captions.csv").read_text().replace('cỏ",train', 'cỏ",test')
    (root / "captions.csv").write_text(text)
    with pytest.raises(DataError, match="một.jpg.*train.*test"):
        read_dataset(FolderConfig(root=root))


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("d.jpg,كلب,", {"duplicate row": ["d.jpg: كلب"]}),
        ("d.jpg,a dog,holdout", {"unknown split (train, dev or test)": ["'holdout' in line 7"]}),
        ("d.jpg,a dog, running,nowhere", {"row without exactly 3 fields": ["line 7"]}),
        ("../../etc/passwd,root,train", {"id outside the image folder": ["../../etc/passwd"]}),
        ("x.jpg,a dog,train", {"missing image": ["x.jpg"]}),
    ],
)
def test_problems(root, row, problem):
    good = read_dataset(FolderConfig(root=root)).records
    with (root / "captions.csv").open("a", encoding="utf-8") as file:
        file.write(f"\n{row}\n")
    corpus = read_dataset(FolderConfig(root=root, max_bad_fraction=0.5))
    assert corpus.problems.by_kind == problem
    assert corpus.records == good
    with pytest.raises(DataError, match=r"1 of [56] (caption rows|images)"):
        read_dataset(FolderConfig(root=root))


@pytest.mark.parametrize("bad", [7, None, [1], {"a": 1}])
def test_json_values_that_are_not_text(root, bad):
    entries = [{"image": n, "caption": c} for n, c, _ in ROWS] + [{"image": "d.jpg", "caption": bad}]
    (root / "c.jsonl").write_text("\n".join(map(json.dumps, entries)))
    corpus = read_dataset(FolderConfig(root=root, captions="c.jsonl", max_bad_fraction=0.5))
    assert corpus.problems.by_kind == {"row whose 'image' or 'caption' is not text": ["line 6"]}
