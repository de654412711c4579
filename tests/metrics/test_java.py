import json
import os
import stat
import sys

import numpy as np
import pytest

from capsmith.core.errors import CapsmithError, MissingExtraError
from capsmith.metrics import java, score

REFERENCES = {"a": ["a dog runs in the snow", "the dog is running"], "b": ["two people sit", "people in a park"]}
CAPTIONS = {"a": "a puppy is running through snow", "b": "two people in a park"}

FAKE = """#!{python}
import json, sys
{body}
"""


@pytest.fixture
def fake_java(tmp_path, monkeypatch):
    """Puts a program called java in front of all others, with the body given."""

    def make(body):
        folder = tmp_path / "bin with space"
        folder.mkdir()
        program = folder / "java"
        program.write_text(FAKE.format(python=sys.executable, body=body))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setattr(java, "package_folder", lambda name: tmp_path)

    return make


def test_without_java_one_line_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(java, "package_folder", lambda name: tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CapsmithError, match="METEOR needs Java, and there is no 'java' to run"):
        score(CAPTIONS, REFERENCES, ["bleu", "meteor"])


def test_without_the_extra_one_line_says_so(monkeypatch):
    monkeypatch.setattr(java.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"METEOR needs pycocoevalcap: pip install 'capsmith\[coco\]'"):
        score(CAPTIONS, REFERENCES, ["meteor"])


def test_spice_says_that_it_needs_a_download(fake_java):
    fake_java("")
    with pytest.raises(CapsmithError, match="SPICE needs a download of its own .*get_stanford_models") as caught:
        score(CAPTIONS, REFERENCES, ["spice"])
    assert "\n" not in str(caught.value)


def test_java_that_fails_is_told_in_one_line(fake_java):
    fake_java("print('Error: could not reserve heap', file=sys.stderr); print('more', file=sys.stderr); sys.exit(1)")
    with pytest.raises(CapsmithError, match=r"METEOR failed in Java \(exit code 1\): Error: could not reserve heap$"):
        score(CAPTIONS, REFERENCES, ["meteor"])


def test_java_that_answers_nonsense_is_told(fake_java):
    fake_java("print('1.0 2.0')")
    with pytest.raises(CapsmithError, match="METEOR answered 1 of 2 captions"):
        score(CAPTIONS, REFERENCES, ["meteor"])


def test_what_meteor_is_given(fake_java, tmp_path):
    fake_java(
        "lines = sys.stdin.read().splitlines()\n"
        f"open({str(tmp_path / 'seen.json')!r}, 'w').write(json.dumps([sys.argv[1:], lines]))\n"
        "print('\\n'.join(' '.join(['0'] * 23) for _ in lines))"
    )
    odd = {"a": ["a", "|||", "dog\nruns", "犬"], "b": []}
    score(odd, {"a": [["x", "y"], ["z"]], "b": [["w"]]}, ["meteor"], "none")
    arguments, lines = json.loads((tmp_path / "seen.json").read_text())
    assert lines == ["SCORE ||| x y ||| z ||| a dog runs 犬", "SCORE ||| w ||| "]
    assert "data/paraphrase-en.gz" in arguments  # relative: a space in the path does no harm


def test_spices_answer_is_read(fake_java, tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "stanford-corenlp-3.6.0-models.jar").touch()
    fake_java(
        "given = json.load(open(sys.argv[4]))\n"
        "assert [row['test'] for row in given] == ['a puppy is running through snow', 'two people in a park']\n"
        "rows = [{'image_id': row['image_id'], 'scores': {'All': {'f': f}}} for row, f in zip(given, [0.5, None])]\n"
        "json.dump(rows[::-1], open(sys.argv[sys.argv.index('-out') + 1], 'w'))"
    )
    found = score(CAPTIONS, REFERENCES, ["spice"])["spice"]
    assert found.per_image == {"a": 0.5, "b": 0.0} and found.value == 0.25
    assert found.signature.startswith("spice|v:1.0|")


def test_meteor_of_counts_seen_from_the_program():
    # "a puppy running through snow" for "the dog is running": one content word of 4 and of 2, in one chunk.
    counts = np.zeros(23)
    counts[[0, 1, 2, 3, 4, 5, 20, 21, 22]] = [5, 4, 1, 2, 1, 1, 1, 1, 1]
    assert java.combine_meteor(counts) == pytest.approx(0.13714285714285715, abs=1e-15)
    assert java.combine_meteor(np.zeros((3, 23))).tolist() == [0, 0, 0]


@pytest.mark.slow
def test_meteor_equals_pycocoevalcaps():
    pytest.importorskip("pycocoevalcap")
    try:
        java.require(["meteor"])
    except CapsmithError as error:
        pytest.skip(str(error))
    from pycocoevalcap.meteor.meteor import Meteor

    captions = {**CAPTIONS, "c": "the same words", "d": "nothing shared", "e": "a"}
    references = {**REFERENCES, "c": ["the same words", "x"], "d": ["quite another thing"], "e": ["a car"]}
    found = score(captions, references, ["meteor"])["meteor"]
    value, each = Meteor().compute_score(references, {key: [text] for key, text in captions.items()})
    assert list(found.per_image.values()) == pytest.approx(each, abs=1e-9)
    assert found.value == pytest.approx(value, abs=1e-9)
    assert found.interval[0] <= found.value <= found.interval[1]
