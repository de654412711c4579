import json

import pytest

from capsmith.core.errors import DataError
from capsmith.metrics import Scorer
from capsmith.metrics.explain import explain

REFERENCES = {
    "a": ["a dog runs in the snow", "the dog is running", "a brown dog plays in snow"],
    "b": ["two people sit", "people in a park"],
    "c": ["a red car"],
}
CAPTIONS = {"a": "a dog dog jumps in the snow", "b": "two people in a park", "c": "a"}


def grams(found, n):
    return {gram.text: gram for gram in found.grams[n - 1]}


def test_matched_and_unmatched_ngrams():
    found = explain(Scorer(REFERENCES), CAPTIONS, "a")
    one, two = grams(found, 1), grams(found, 2)
    assert (one["dog"].count, one["dog"].matched, one["dog"].references, one["dog"].images) == (2, 1, 3, 1)
    assert (one["a"].references, one["a"].images) == (2, 3)
    assert (one["jumps"].matched, one["jumps"].images, one["jumps"].cider) == (0, 0, 0)
    assert two["in the"].matched == 1 and two["dog dog"].matched == 0
    assert grams(found, 3)["in the snow"].matched == 1
    assert found.closest == 6 and found.subsequences == [5, 1, 4]


@pytest.mark.parametrize("image", list(CAPTIONS))
def test_contributions_add_up_to_the_score(image):
    scorer = Scorer(REFERENCES, ["cider", "rouge", "bleu1"])
    found, scores = explain(scorer, CAPTIONS, image), scorer.score(CAPTIONS)
    assert found.cider == pytest.approx(scores["cider"].per_image[image], abs=1e-12)
    assert sum(g.cider for order in found.grams for g in order) == pytest.approx(found.cider, abs=1e-12)
    assert found.rouge == scores["rouge"].per_image[image]


def test_output_as_text_and_as_json():
    found = explain(Scorer(REFERENCES), CAPTIONS, "a")
    text = str(found)
    assert "1-grams: 5 of 7 matched" in text
    assert "jumps (in no reference of any image)" in text
    assert json.loads(json.dumps(found.as_dict()))["image_id"] == "a"
    assert "(no words)" in str(explain(Scorer(REFERENCES), {**CAPTIONS, "a": ""}, "a"))


def test_an_unknown_image_is_an_error():
    with pytest.raises(DataError, match="'z'"):
        explain(Scorer(REFERENCES), CAPTIONS, "z")
