"""Usual YAML is read, harmful YAML is refused."""

from pathlib import Path

import pytest

from capsmith.config import load_config
from tests.support.configs import BASE, TEXT, error


def written(tmp_path, content):
    path = tmp_path / "mine.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 1e-3), ("1.0e-3", 1e-3), ("1E-3", 1e-3), ("+2e-3", 2e-3), (".001", 1e-3), ("5e-4", 5e-4)],
)
def test_usual_spellings_of_numbers(tmp_path, text, value):
    path = written(tmp_path, TEXT + f"training: {{learning_rate: {text}}}\n")
    assert load_config(path).training.learning_rate == pytest.approx(value)
    assert load_config(BASE, [f"training.learning_rate={text}"]).training.learning_rate == pytest.approx(value)


def test_names_that_resemble_numbers_stay_strings(tmp_path):
    assert load_config(BASE, ["data.captions=1e3x.csv"]).data.captions == Path("1e3x.csv")


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf" + TEXT.encode(), TEXT.replace("\n", "\r\n").encode()])
def test_byte_order_mark_and_windows_line_ends(tmp_path, content):
    assert load_config(written(tmp_path, content)) == load_config(BASE)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "mapping"),
        ("- a\n", "mapping"),
        (b"\xff\xfe\x00", "UTF-8"),
        (TEXT + "no: 1\n", "line 3: not valid YAML: the key 'no'"),
        (TEXT + "1: 1\n", "line 3: not valid YAML: the key '1'"),
        (TEXT + "seed: 1\nseed: 2\n", "line 4: not valid YAML: the key 'seed'"),
        ("data: {root: a, root: b}\n", "line 1: not valid YAML: the key 'root'"),
        ("data: [1\n", "not valid YAML"),
        ("data: a: b\n", "line 1: not valid YAML"),
        ("\tdata: 1\n", "line 1: not valid YAML"),
        ("a: !!python/object/apply:os.system [x]\n", "line 1: not valid YAML"),
        ("a: !thing 1\n", "line 1: not valid YAML"),
        ("a: !!int x\n", "invalid literal"),
        ("a: 2024-13-45\n", "month must be in 1..12"),
        ("a: " + "[" * 5000, "nested"),
        ("a: \0\n", "not valid YAML"),
        (TEXT + "---\nb: 1\n", "not valid YAML"),
        ("a: *b\n", "alias"),
    ],
)
def test_yaml_that_cannot_be_a_config(tmp_path, content, said):
    message = error(written(tmp_path, content))
    assert said in message
    assert "mine.yaml" in message
    assert "\n" not in message


def test_a_tag_executes_nothing(tmp_path):
    path = written(tmp_path, f"a: !!python/object/apply:pathlib.Path.touch ['{tmp_path}/ran']\n")
    error(path)
    error(BASE, f"seed=!!python/object/apply:os.mkdir ['{tmp_path}/ran']")
    assert not (tmp_path / "ran").exists()


def test_a_long_list_is_accepted(tmp_path):
    """16,000 image names written out are read; as many values expanded from a few aliases are refused."""
    groups = "".join(f"    - [a{n}.jpg, b{n}.jpg]\n" for n in range(8000))
    folder = "  type: folder\n  root: x\n  split:\n    groups:"
    path = written(tmp_path, f"decoder: {{type: inject}}\ndata:\n{folder}\n{groups}")
    assert len(load_config(path).data.split.groups) == 8000
    rows = ["a: &a [" + ", ".join("0" * 100) + "]"]
    rows += [f"{name}: &{name} [{', '.join(['*' + before] * 100)}]" for before, name in ("ab", "bc")]
    assert "more than 10,000 values" in error(written(tmp_path, "\n".join(rows)))
