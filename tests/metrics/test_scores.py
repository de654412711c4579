import pytest

from capsmith.core.errors import DataError
from capsmith.metrics import Scorer
from capsmith.metrics.scores import compare, signature

REFERENCES = {f"{n}.jpg": [f"a dog number {n} runs", f"the {n} dogs run far"] for n in range(30)}
GOOD = {key: group[0] for key, group in REFERENCES.items()}
POOR = {key: "a dog" for key in REFERENCES}


def test_signature():
    text = signature("bleu4", "coco.1", "lower", (1, 5), 10, "order:4")
    assert text.startswith("bleu4|order:4|tok:coco.1|case:lower|nrefs:1-5|n:10|capsmith:")


@pytest.mark.parametrize("name", ["bleu4", "rouge", "cider"])
def test_compare(name):
    scorer = Scorer(REFERENCES, [name])
    good, poor = (scorer.score(captions)[name] for captions in (GOOD, POOR))
    comparison = compare(good, poor)
    assert comparison.difference == pytest.approx(good.value - poor.value)
    assert comparison.interval[0] > 0 and comparison.p_value < 0.01
    assert compare(poor, poor).p_value == 1


def test_different_signatures_do_not_compare():
    scores = Scorer(REFERENCES, ["bleu3", "bleu4"]).score(GOOD)
    with pytest.raises(DataError, match="bleu3"):
        compare(scores["bleu3"], scores["bleu4"])
    fewer = dict(list(REFERENCES.items())[:5])
    other = Scorer(fewer, ["bleu4"]).score({key: GOOD[key] for key in fewer})
    with pytest.raises(DataError, match="n:30"):
        compare(scores["bleu4"], other["bleu4"])
