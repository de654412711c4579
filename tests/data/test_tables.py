"""Tables as spreadsheets and scripts write them."""

import json
import time

import pytest

from capsmith.core.errors import DataError
from capsmith.data.tables import read_table

REQUIRED = {"image_column": "image", "caption_column": "caption"}
ROWS = [("a.jpg", 'He said "hi", twice'), ("b.jpg", "plain; with | marks")]


def _read(tmp_path, name, text, encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return [(row.values["image"], row.values["caption"]) for row in read_table(path, REQUIRED).rows]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", 'image,caption\na.jpg,"He said ""hi"", twice"\nb.jpg,plain; with | marks\n'),
        ("t.txt", 'image,caption\r\na.jpg,"He said ""hi"", twice"\r\n\r\nb.jpg,plain; with | marks'),
        ("t.csv", 'caption, image\n"He said ""hi"", twice", a.jpg\nplain; with | marks,b.jpg\n'),
        ("t.csv", 'image;caption\na.jpg;"He said ""hi"", twice"\nb.jpg;"plain; with | marks"\n'),
        ("t.csv", '"image","caption"\na.jpg,"He said ""hi"", twice"\nb.jpg,"plain; with | marks"\n'),
        ("t.tsv", 'image\tcaption\na.jpg\tHe said "hi", twice\nb.jpg\tplain; with | marks\n'),
        ("t.txt", 'image\tcaption\na.jpg\t"He said ""hi"", twice"\nb.jpg\tplain; with | marks\n'),
        ("t.jsonl", "".join(json.dumps({"image": i, "caption": c, "n": 1}) + "\n" for i, c in ROWS)),
    ],
    ids=["comma", "crlf", "order", "semicolon", "quoted", "tab", "tab-quoted", "json"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_file_formats(tmp_path, name, text, encoding):
    assert _read(tmp_path, name, text, encoding) == ROWS


def test_flickr30k_of_kaggle(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text('image_name| comment_number| comment\n1.jpg| 0| Two "friends" , here .\n2.jpg| 4   A dog runs .\n')
    table = read_table(path, {"image_column": "image_name", "caption_column": "comment"})
    assert [(row.number, row.values) for row in table.rows] == [
        (2, {"image_name": "1.jpg", "comment_number": "0", "comment": 'Two "friends" , here .'}),
        (3, None),
    ]


def test_rows_with_another_number_of_fields(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("image,caption\na.jpg,a dog, running\nb.jpg\nc.jpg,fine\n")
    table = read_table(path, REQUIRED)
    rows = list(table.rows)
    assert [row.values is None for row in rows] == [True, True, False]
    assert table.with_rest(rows[0], "caption") == {"image": "a.jpg", "caption": "a dog, running"}
    assert table.with_rest(rows[1], "caption") is table.with_rest(rows[2], "caption") is None


def test_a_caption_of_two_lines(tmp_path):
    assert _read(tmp_path, "t.csv", 'image,caption\na.jpg,"two\nlines"\nb.jpg,one\n') == [
        ("a.jpg", "two\nlines"),
        ("b.jpg", "one"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "t.csv",
            "photo,captions\n",
            r"no column 'image' \(columns found: photo, captions\).*data.image_column",
        ),
        ("t.csv", "image,captions\n", r"no column 'caption'; did you mean 'captions'\?"),
        (
            "t.csv",
            "a.jpg,a dog\n",
            r"its first line is a row \(a.jpg\). Set data.header: false, data.image_column: 1 and",
        ),
        ("t.jsonl", '{"image": "a.jpg"}\n', r"no column 'caption' \(columns found: image\)"),
        ("t.csv", "", r"t.csv is empty: it needs the columns image, caption"),
        ("t.csv", " \n\n", r"t.csv is empty"),
        ("t.jsonl", '{"image": "a", "caption": "b"}\n{"image": \n', r"t.jsonl, line 2: not valid JSON"),
        ("t.jsonl", '["a", "b"]\n', r"t.jsonl, line 1: expected an object"),
    ],
)
def test_invalid_tables(tmp_path, name, text, message):
    with pytest.raises(DataError, match=message):
        _read(tmp_path, name, text)


def test_20000_columns_take_linear_time(tmp_path):
    """A quadratic search for equal names took 4.5 s for 20,000 columns."""
    times = []
    for count in (20_000, 80_000):
        path = tmp_path / f"{count}.csv"
        head = ",".join(["image", "caption", *(f"c{n}" for n in range(count))])
        path.write_text(head + "\n" + "a.jpg,a dog" + ",x" * count + "\n")
        start = time.process_time()
        (row,) = read_table(path, REQUIRED).rows
        times.append(time.process_time() - start)
        assert row.values["caption"] == "a dog"
    assert times[1] < 12 * times[0] + 0.2


def test_columns_may_be_numbers(tmp_path):
    (tmp_path / "t.csv").write_text("a.jpg,a dog, running\nb.jpg,x\n")
    table = read_table(tmp_path / "t.csv", {"image_column": "1", "caption_column": "2"}, header=False)
    assert table.columns == ("1", "2") and [row.number for row in table.rows] == [1, 2]
    with pytest.raises(DataError, match=r"2 columns.*'image'.*data.image_column"):
        read_table(tmp_path / "t.csv", REQUIRED, header=False)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.json", '{"image": "a.jpg", "caption": "x"}\n{"image": "b.jpg", "caption": "y"}\n'),
        ("t.jsonl", '[{"image": "a.jpg", "caption": "x"},\n {"image": "b.jpg", "caption": "y"}]'),
        ("t.jsonl", '{"image": "a.jpg", "caption": "x"},\n{"image": "b.jpg", "caption": "y"},\n'),
    ],
    ids=["lines called .json", "a list called .jsonl", "lines with commas"],
)
def test_json_under_any_name(tmp_path, name, text):
    assert _read(tmp_path, name, text) == [("a.jpg", "x"), ("b.jpg", "y")]
