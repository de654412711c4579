import json

import numpy as np
import pytest

from capsmith.core.errors import CapsmithError
from capsmith.metrics import score
from capsmith.metrics.java import require_java
from capsmith.metrics.meteor import meteor_from_counts
from tests.support.fake_java import CAPTIONS, REFERENCES


def test_unusable_output_is_an_error(fake_java):
    fake_java("print('1.0 2.0')")
    with pytest.raises(CapsmithError, match="METEOR.* 1 of 2 captions"):
        score(CAPTIONS, REFERENCES, ["meteor"])


def test_input_of_the_java_program(fake_java, tmp_path):
    fake_java(
        "lines = sys.stdin.read().splitlines()\n"
        f"open({str(tmp_path / 'input.json')!r}, 'w').write(json.dumps([sys.argv[1:], lines]))\n"
        "print('\\n'.join(' '.join(['0'] * 23) for _ in lines))"
    )
    odd = {"a": ["a", "|||", "dog\nruns", "犬"], "b": []}
    score(odd, {"a": [["x", "y"], ["z"]], "b": [["w"]]}, ["meteor"], "none")
    arguments, lines = json.loads((tmp_path / "input.json").read_text())
    assert lines == ["SCORE ||| x y ||| z ||| a dog runs 犬", "SCORE ||| w ||| "]
    assert "data/paraphrase-en.gz" in arguments  # relative, in case the path contains a space


def test_the_score_follows_from_the_counts_of_the_java_program():
    # "a puppy running through snow" for "the dog is running": one content word of 4 and of 2, in one chunk.
    counts = np.zeros(23)
    counts[[0, 1, 2, 3, 4, 5, 20, 21, 22]] = [5, 4, 1, 2, 1, 1, 1, 1, 1]
    assert meteor_from_counts(counts) == pytest.approx(0.13714285714285715, abs=1e-15)
    assert meteor_from_counts(np.zeros((3, 23))).tolist() == [0, 0, 0]


@pytest.mark.slow
def test_meteor_equals_pycocoevalcaps():
    pytest.importorskip("pycocoevalcap")
    try:
        require_java("meteor")
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
