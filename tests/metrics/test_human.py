import json

import pytest

from capsmith.core.errors import DataError
from capsmith.metrics import Scorer, score
from capsmith.metrics.human import human_rows

REFERENCES = {
    "a": ["a dog runs in the snow", "the dog is running", "a brown dog plays", "dogs"],
    "b": ["two people sit", "people in a park", "two men on a bench"],
}


def test_each_reference_against_the_others():
    rows = human_rows(Scorer(REFERENCES, ["bleu2", "rouge", "cider"]))
    assert len(rows) == 3
    for number, row in enumerate(rows):
        alone = {key: group[number] for key, group in REFERENCES.items()}
        others = {key: group[:number] + group[number + 1 :] for key, group in REFERENCES.items()}
        assert row == score(alone, others, ["bleu2", "rouge", "cider"])
    assert "nrefs:2-3" in rows[0]["cider"].signature


def test_the_scorer_is_unchanged():
    scorer = Scorer(REFERENCES)
    before = scorer.score({"a": "a dog", "b": "two people"})
    human_rows(scorer)
    assert scorer.score({"a": "a dog", "b": "two people"}) == before


def test_one_reference_is_not_enough():
    with pytest.raises(DataError, match="image c has one"):
        human_rows(Scorer({**REFERENCES, "c": ["alone"]}))


# Published human scores on Flickr8k's test split (each reference in turn against the other four), computed there
# on letters and digits with everything else as a space.
PUBLISHED = {
    "bleu4": [0.210, 0.235, 0.229, 0.208, 0.187],
    "cider": [0.793, 0.842, 0.867, 0.824, 0.791],
    "rouge": [0.488, 0.515, 0.516, 0.497, 0.461],
}


@pytest.mark.shared
def test_flickr8k(shared):
    references = json.loads((shared / "golden" / "flickr8k_refs" / "test_refs_raw.json").read_text())
    words = {
        key: ["".join(c if c.isalnum() else " " for c in text.lower()).split() for text in group]
        for key, group in references.items()
    }
    rows = human_rows(Scorer(words, list(PUBLISHED), "none"))
    for name, expected in PUBLISHED.items():
        assert [row[name].value for row in rows] == pytest.approx(expected, abs=0.001)
    # Penn Treebank tokens keep "t-shirt" and split "dog's": scores are lower by at most 0.004.
    for name, expected in PUBLISHED.items():
        assert [row[name].value for row in human_rows(Scorer(references, [name]))] == pytest.approx(expected, abs=0.005)
