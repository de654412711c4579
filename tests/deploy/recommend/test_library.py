"""Libraries as people write them: text, tables, JSON lines; and their mistakes."""

import json

import pytest

from capsmith.core.errors import ConfigError, DataError
from capsmith.deploy.recommend.library import Library

ROWS = [
    {"caption": "Taste the world, one sip at a time.", "description": "a cup on a table", "theme": "Tea"},
    {"caption": "Sit. Stay. Repeat.", "description": "a dog sits", "theme": "Pets"},
]


def delimited(mark):
    lines = [[f'"{value}"' for value in row.values()] for row in ROWS]
    return "".join(mark.join(line) + "\n" for line in [["Caption", "description", "THEME"], *lines])


def library(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Library.read(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", delimited(",")),
        ("a.csv", delimited(";").encode("utf-16")),
        ("a.tsv", "\ufeff" + delimited("\t").replace("\n", "\r\n")),
        ("a.csv", "sep=|\n# a comment\n" + delimited("|")),
        ("a.jsonl", "".join(json.dumps(row) + "\n" for row in ROWS)),
        ("a.json", json.dumps(ROWS)),
    ],
)
def test_every_format_gives_the_same_library(tmp_path, name, content):
    read = library(tmp_path, name, content)
    assert read.captions == tuple(row["caption"] for row in ROWS)
    assert read.texts == read.descriptions == tuple(row["description"] for row in ROWS)
    assert read.themes == ("Tea", "Pets")
    assert read.fingerprint == Library.of(*zip(*(row.values() for row in ROWS), strict=True)).fingerprint


def test_text_has_a_caption_a_line(tmp_path):
    read = library(tmp_path, "a.txt", "# mine\n\n  One   cup, at a time. \n#mondaymood\n#\nÉté ☀️\n")
    assert read.captions == read.texts == ("One cup, at a time.", "#mondaymood", "Été ☀️")
    assert read.descriptions == read.themes == ("", "", "")


def test_a_table_of_one_column_needs_no_quotes(tmp_path):
    assert library(tmp_path, "a.csv", "caption\nRain, then sun.\n").captions == ("Rain, then sun.",)


def test_repeated_rows_are_read_once_and_several_descriptions_kept(tmp_path):
    text = "caption,description\nHi,a dog\nHi,a dog\nHi,a cat\n"
    read = library(tmp_path, "a.csv", text)
    assert read.texts == ("a dog", "a cat") and len(read.notes) == 1 and "1 repeated" in read.notes[0]


def test_a_large_library(tmp_path):
    read = library(tmp_path, "a.txt", "".join(f"caption number {n}\n" for n in range(30_000)))
    assert len(read) == 30_000 and read.captions[-1] == "caption number 29999"


def test_the_hash_depends_on_which_field_holds_a_text():
    assert Library.of(["a"], ["b"]).fingerprint != Library.of(["a"], None, ["b"]).fingerprint


def test_themes_are_found_as_people_write_them():
    read = Library.of(["a", "b", "c"], themes=["food and drink", "pets", ""])
    assert read.rows_of_themes(["Food-and Drink"]) == [0] and read.rows_of_themes(["pets", "food and drink"]) == [0, 1]
    with pytest.raises(ConfigError, match="'pet'.*did you mean 'pets'"):
        read.rows_of_themes(["pet"])


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.txt", "", "a.txt is empty"),
        ("a.txt", "# only a comment\n", "a.txt is empty"),
        ("a.csv", "caption,theme\n", "a.csv is empty"),
        ("a.csv", "captions,theme\nHi,pets\n", "did you mean 'captions'"),
        ("a.csv", "caption,theme\nHi\n,pets\n,tea\n", "line 2: 1 field for.*2 more"),
        ("a.csv", "caption,theme\nHi, you,pets\n", "line 2: 3 fields for 2 columns"),
        ("a.csv", 'caption,theme\n"Hi,pets\n', "line 2: .*not closed"),
        ("a.csv", "caption,theme\nHi,pets\n,pets\n", "line 3: the caption is empty$"),
        ("a.txt", "Hi\nred \x1b[31m text\n", r"line 2: .*'\\x1b'"),
        ("a.txt", "Hi \u202e there\n", r"line 1: .*'\\u202e'"),
        ("a.txt", "a" * 3000, "line 1: .*3,000 characters"),
        ("a.jsonl", '{"caption": "Hi"}\n{"caption": 3}\n', "line 2: the caption is not text"),
        ("a.jsonl", '{"text": "Hi"}\n', "line 1: it has no 'caption'"),
        ("a.jsonl", '{"caption": "Hi"\n', "line 1: not valid JSON"),
        ("a.jsonl", "3\n", "line 1: expected"),
        ("a.json", '{"caption": "Hi"}', "a.json.*list"),
        ("a.json", "[1]", "entry 1: expected"),
        ("a.txt", b"caf\xe9\n", "line 1, byte 4"),
        ("a.csv", b"PK\x03\x04", "save it as CSV"),
    ],
)
def test_mistakes_are_named(tmp_path, name, content, says):
    with pytest.raises(DataError, match=says) as caught:
        library(tmp_path, name, content)
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_lists_of_different_lengths_are_refused():
    with pytest.raises(DataError):
        Library.of(["a", "b"], ["c"])
