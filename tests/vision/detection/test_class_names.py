"""Names of classes as programs write them; nothing is evaluated."""

import json

import pytest

from capsmith.core.errors import ConfigError
from capsmith.vision.detection.class_names import parsed_names, read_names


@pytest.mark.parametrize(
    "text",
    [
        "{0: 'a', 1: 'b c', 2: \"d's\"}",
        "{2: \"d's\", 0: 'a', 1: 'b c'}",
        '{"0": "a", "1": "b c", "2": "d\'s"}',
        "['a', 'b c', \"d's\"]",
        "['a', 'b c', 'd\\'s',]",
        '["a","b c","d\'s"]',
    ],
)
def test_ways_of_writing(text):
    assert parsed_names(text) == ["a", "b c", "d's"]


def test_a_list_by_commas_and_names_of_other_scripts():
    assert parsed_names("person, traffic light,chien") == ["person", "traffic light", "chien"]
    assert parsed_names("{0: 'Hündin', 1: '犬'}") == ["Hündin", "犬"]


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "{0: 'a', 2: 'b'}", "{1: 'a'}", "{0: a}", "{0: 'a' 1: 'b'}", "['a'] * 9", "[", "[['a']]", "{0: 1}",
     "__import__('os')", "{0: ''}", "[" * 100_000, "{0: '" + "a" * 2**21 + "'}", "a(b)", "{0: 'a', 0x1: 'b'}"],
)  # fmt: skip
def test_what_states_no_names(text):
    assert parsed_names(text) is None


def test_names_are_safe_for_a_terminal():
    (name,) = parsed_names("{0: 'a\x1b[2J \n b'}")
    assert name.isprintable() and len(parsed_names("['" + "x" * 500 + "']")[0]) == 100


def test_files(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("\ufeffperson\n\n traffic light \n", encoding="utf-8")
    assert read_names(path) == ["person", "traffic light"]
    for content in (["a", "b"], {"0": "a", "1": "b"}, {"id2label": {"1": "b", "0": "a"}}, {"names": ["a", "b"]}):
        (tmp_path / "n.json").write_text(json.dumps(content))
        assert read_names(tmp_path / "n.json") == ["a", "b"]


@pytest.mark.parametrize(
    "content",
    [
        "names:\n  0: person\n  1: no\nnc: 2\n",
        "nc: 2\nnames: [person, 'no']\n",
        "- person\n- no\n",
        "path: ../coco\nid2label: {1: no, 0: person}\n",
    ],
)
def test_yaml(content, tmp_path):
    """As in the data.yaml of a YOLO data set; ``no`` is a name, not a truth value."""
    (tmp_path / "data.yaml").write_text(content)
    assert read_names(tmp_path / "data.yaml") == ["person", "no"]


@pytest.mark.parametrize(
    "content",
    ["names: {0: a, 2: b}", "names: [[a]]", "nc: 2", "a", "[" * 200_000, "- " * 100_000, "? " * 100_000, "[" * 400,
     "- a\n" * 100_000,
     "a: &a [x, x]\nnames: [*a, *a]", "names: !!python/object/apply:os.getcwd []", "names: {? [a] : b}"],
)  # fmt: skip
def test_yaml_without_names(content, tmp_path):
    (tmp_path / "data.yml").write_text(content)
    with pytest.raises(ConfigError, match="names of classes"):
        read_names(tmp_path / "data.yml")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"\n\n"])
def test_files_without_names(content, tmp_path):
    (tmp_path / "names.txt").write_bytes(content)
    with pytest.raises(ConfigError, match="names of classes"):
        read_names(tmp_path / "names.txt")


@pytest.mark.parametrize("content", ["[1, 2]", "{", '{"0": "a", "9": "b"}', "[" * 100_000, "3"])
def test_json_without_names(content, tmp_path):
    (tmp_path / "names.json").write_text(content)
    with pytest.raises(ConfigError, match="names of classes"):
        read_names(tmp_path / "names.json")


def test_missing_file_and_folder(tmp_path):
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(ConfigError, match="cannot read"):
            read_names(path)
