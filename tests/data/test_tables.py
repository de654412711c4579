"""Tables in the forms that spreadsheets and scripts write them."""

import json

import pytest

from capsmith.data.tables import guess_table, read_table
from capsmith.errors import DataError

REQUIRED = {"image_column": "image", "caption_column": "caption"}
ROWS = [("a.jpg", 'He said "hi", twice'), ("b.jpg", "plain; with | marks")]


def _read(tmp_path, name, text, encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return [(row["image"], row["caption"]) for _, row in read_table(path, REQUIRED).rows]


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
def test_forms(tmp_path, name, text, encoding):
    assert _read(tmp_path, name, text, encoding) == ROWS


def test_flickr30k_of_kaggle(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text('image_name| comment_number| comment\n1.jpg| 0| Two "friends" , here .\n2.jpg| 4   A dog runs .\n')
    table = read_table(path, {"image_column": "image_name", "caption_column": "comment"})
    assert list(table.rows) == [
        (2, {"image_name": "1.jpg", "comment_number": "0", "comment": 'Two "friends" , here .'}),
        (3, None),
    ]


def test_rows_of_another_length_are_none(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("image,caption\na.jpg,a dog, running\nb.jpg\nc.jpg,fine\n")
    assert [row is None for _, row in read_table(path, REQUIRED).rows] == [True, True, False]


def test_a_caption_over_two_lines(tmp_path):
    assert _read(tmp_path, "t.csv", 'image,caption\na.jpg,"two\nlines"\nb.jpg,one\n') == [
        ("a.jpg", "two\nlines"),
        ("b.jpg", "one"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "t.csv",
            "picture,captions\n",
            r"no column 'image' \(columns found: picture, captions\).*data.image_column",
        ),
        ("t.csv", "image,captions\n", r"no column 'caption'; did you mean 'captions'\?"),
        ("t.csv", "a.jpg,a dog\n", r"columns found: a.jpg, a dog"),
        ("t.jsonl", '{"image": "a.jpg"}\n', r"no column 'caption' \(columns found: image\)"),
        ("t.csv", "", r"t.csv is empty: it needs the columns image, caption"),
        ("t.csv", " \n\n", r"t.csv is empty"),
        (
            "t.csv",
            'image,caption\na.jpg,ok\nb.jpg,"open\nc.jpg,lost\n',
            r"t.csv, line 3: a quote is not closed",
        ),
        ("t.csv", 'image,caption\na.jpg,"a "big" dog"\n', r"t.csv, line 2: a quote"),
        ("t.jsonl", '{"image": "a", "caption": "b"}\n{"image": \n', r"t.jsonl, line 2: not valid JSON"),
        ("t.jsonl", '["a", "b"]\n', r"t.jsonl, line 1: each line must be an object"),
    ],
)
def test_what_is_no_such_table(tmp_path, name, text, message):
    with pytest.raises(DataError, match=message):
        _read(tmp_path, name, text)


def test_a_table_of_which_nothing_is_known_may_hold_nothing(tmp_path):
    """Found by fuzzing: empty quotes are no line of a table."""
    (tmp_path / "x.csv").write_text('""\n')
    with pytest.raises(DataError, match="is not a table"):
        guess_table(tmp_path / "x.csv")
