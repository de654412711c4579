import math
import subprocess
import sys

import pytest

from capsmith.core.errors import DataError
from capsmith.metrics import DEFAULT, Scorer, score
from capsmith.metrics.scorer import BLEU, expand
from tests.support.captions import ADVERSARIAL

REFERENCES = {
    "a.jpg": ["A dog runs in the snow .", "The dog is running .", "A brown dog plays"],
    "b.jpg": ["Two people sit on a bench .", "People in a park"],
}
CAPTIONS = {"a.jpg": "A dog runs through the snow .", "b.jpg": "two people in a park"}


def test_scores_have_the_order_of_the_metrics():
    found = score(CAPTIONS, REFERENCES, ["cider", "bleu", "rouge"])
    assert list(found) == ["cider", "bleu1", "bleu2", "bleu3", "bleu4", "rouge"]
    assert list(score(CAPTIONS, REFERENCES, ["bleu4", "bleu4", "cider_d"])) == ["bleu4", "cider_d"]
    assert list(score(CAPTIONS, REFERENCES)) == [*BLEU, "rouge", "cider"] == expand(DEFAULT)


def test_fields_of_a_score():
    found = score(CAPTIONS, REFERENCES, ["bleu4", "cider"])["cider"]
    assert found.value == pytest.approx(sum(found.per_image.values()) / 2)
    assert list(found.per_image) == ["a.jpg", "b.jpg"]
    low, high = found.interval
    assert low <= found.value <= high
    assert found.signature == "cider|df:references|tok:coco.1|case:lower|nrefs:2-3|n:2|capsmith:" + version()
    assert float(found) == found.value
    assert found.as_dict() == {"value": found.value, "interval": (low, high), "signature": found.signature}
    assert found.as_dict(per_image=True)["per_image"]["a.jpg"] == found.per_image["a.jpg"]
    assert str(found).startswith(f"cider {found.value:.3f} [") and found.signature in str(found)


def version():
    import capsmith

    return capsmith.__version__


def test_signature_names_order_and_tokeniser():
    one_each = {key: group[:1] for key, group in REFERENCES.items()}
    found = score(CAPTIONS, one_each, ["bleu"], "none")
    assert found["bleu2"].signature == "bleu2|order:2|tok:none.1|case:mixed|nrefs:1|n:2|capsmith:" + version()


def test_tokenisers_give_different_scores():
    values = {name: score(CAPTIONS, REFERENCES, ["bleu1"], name)["bleu1"].value for name in ("coco", "none")}
    assert values["coco"] > values["none"]  # case and the full stop


def test_caption_in_a_list_and_tokenised_captions():
    listed = {key: [caption] for key, caption in CAPTIONS.items()}
    assert score(listed, REFERENCES) == score(CAPTIONS, REFERENCES)
    tokens = {key: caption.split() for key, caption in CAPTIONS.items()}
    split = {key: [text.split() for text in group] for key, group in REFERENCES.items()}
    assert score(tokens, split, tokeniser="none") == score(CAPTIONS, REFERENCES, tokeniser="none")


def test_the_order_of_the_captions_does_not_matter():
    backwards = dict(reversed(CAPTIONS.items()))
    assert score(backwards, REFERENCES) == score(CAPTIONS, REFERENCES)


def test_a_scorer_scores_many_times():
    scorer = Scorer(REFERENCES, ["bleu", "rouge", "cider", "cider_plain", "cider_d"], end=True)
    first = scorer.score(CAPTIONS)
    scorer.score({"a.jpg": "unseen words here", "b.jpg": ""})
    assert scorer.score(CAPTIONS) == first


def test_perfect_captions():
    perfect = {key: group[0] for key, group in REFERENCES.items()}
    found = score(perfect, REFERENCES)
    assert [found[name].value for name in (*BLEU, "rouge")] == pytest.approx([1] * 5)
    assert found["cider"].value > score(CAPTIONS, REFERENCES)["cider"].value


def test_corpus_bleu_is_not_the_mean_over_images():
    found = score(CAPTIONS, REFERENCES, ["bleu2"])["bleu2"]
    assert found.value != pytest.approx(sum(found.per_image.values()) / 2, abs=1e-6)
    alone = score({"a.jpg": CAPTIONS["a.jpg"]}, {"a.jpg": REFERENCES["a.jpg"]}, ["bleu2"])["bleu2"]
    assert alone.value == pytest.approx(found.per_image["a.jpg"], abs=1e-12)
    assert alone.interval is None


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_adversarial_captions_have_finite_scores(name):
    found = score(*ADVERSARIAL[name], ["bleu", "rouge", "cider", "cider_d", "cider_plain"], "none")
    for value in found.values():
        assert math.isfinite(value.value) and all(map(math.isfinite, value.per_image.values()))
        assert value.interval is None or all(map(math.isfinite, value.interval))
        assert 0 <= value.value <= (10 if "cider" in value.name else 1) + 1e-9


NAN = float("nan")
BAD = [
    ({"a.jpg": "x"}, REFERENCES, r"1 image.*without a caption \(b.jpg\)"),
    ({**CAPTIONS, "c": "x", "d": "y"}, REFERENCES, r"2 captions without references \(c, d\)"),
    ({f"{n}": "x" for n in range(5)}, REFERENCES, r"5 captions without references \(0, 1, 2, …\) and 2 images"),
    ({1: "x", "b.jpg": "y"}, {"1": ["x"], "b.jpg": ["y"]}, "numbers"),
    ({**CAPTIONS, "b.jpg": NAN}, REFERENCES, r"image b.jpg.*missing \(nan\)"),
    ({**CAPTIONS, "b.jpg": None}, REFERENCES, r"image b.jpg.*missing \(None\)"),
    ({**CAPTIONS, "b.jpg": 7}, REFERENCES, r"image b.jpg.*int \(7\)"),
    ({**CAPTIONS, "b.jpg": ["x", "y"]}, REFERENCES, "image b.jpg has 2 captions"),
    ({**CAPTIONS, "b.jpg": []}, REFERENCES, "image b.jpg has 0 captions"),
    (CAPTIONS, {}, "no references"),
    (CAPTIONS, {**REFERENCES, "b.jpg": []}, "1 image without references: b.jpg"),
    (CAPTIONS, {**REFERENCES, "b.jpg": "a park"}, "not a list but str: b.jpg"),
    (CAPTIONS, {**REFERENCES, "b.jpg": ["a park", NAN]}, r"image b.jpg.*missing \(nan\)"),
    (CAPTIONS, {**REFERENCES, "b.jpg": [{"raw": "a park"}]}, "image b.jpg.*dict"),
]


@pytest.mark.parametrize(("captions", "references", "message"), BAD)
def test_error_names_the_images_in_one_line(captions, references, message):
    with pytest.raises(DataError, match=message) as caught:
        score(captions, references)
    assert "\n" not in str(caught.value)


def test_scoring_loads_no_keras_no_nltk_and_no_java_package():
    code = (
        "import sys; from capsmith.metrics import score; score({'a': 'a dog'}, {'a': ['a dog']});"
        "print([m for m in ('keras', 'tensorflow', 'torch', 'jax', 'nltk', 'pycocoevalcap') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
