import pytest

from capsmith.core.errors import DataError
from capsmith.metrics import METRICS, Scorer
from capsmith.metrics.scorer import expand
from capsmith.metrics.scores import TITLES, compare, signature

REFERENCES = {f"{n}.jpg": [f"a dog number {n} runs", f"the {n} dogs run far"] for n in range(30)}
GOOD = {key: group[0] for key, group in REFERENCES.items()}
POOR = {key: "a dog" for key in REFERENCES}


def test_signature():
    found = signature("bleu4", "coco.1", "lower", (1, 5), 10, "order:4")
    assert found.startswith("bleu4|order:4|tok:coco.1|case:lower|nrefs:1-5|n:10|capsmith:")


def test_every_score_has_a_title():
    assert set(expand(METRICS)) == set(TITLES)


@pytest.mark.parametrize("name", ["bleu4", "rouge", "cider"])
def test_compare(name):
    scorer = Scorer(REFERENCES, [name])
    good, poor = (scorer.score(captions)[name] for captions in (GOOD, POOR))
    found = compare(good, poor)
    assert found.difference == pytest.approx(good.value - poor.value)
    assert found.interval[0] > 0 and found.p_value < 0.01
    assert compare(poor, poor).p_value == 1


def test_scores_of_different_kinds_do_not_compare():
    found = Scorer(REFERENCES, ["bleu3", "bleu4"]).score(GOOD)
    with pytest.raises(DataError, match="do not compare: bleu3"):
        compare(found["bleu3"], found["bleu4"])
    fewer = dict(list(REFERENCES.items())[:5])
    other = Scorer(fewer, ["bleu4"]).score({key: GOOD[key] for key in fewer})
    with pytest.raises(DataError, match="n:30"):
        compare(found["bleu4"], other["bleu4"])
