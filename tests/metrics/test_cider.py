import pytest
from hypothesis import given, settings

from capsmith.metrics import score
from tests.support.captions import ADVERSARIAL, SENTENCES, corpora
from tests.support.coco import scores as coco_scores
from tests.support.slow_cider import slow_cider


def check(corpus):
    ours, (value, each) = score(*corpus, ["cider"], "none")["cider"], coco_scores(*corpus, names=["cider"])["cider"]
    assert ours.value == pytest.approx(value, abs=1e-9)
    assert list(ours.per_image.values()) == pytest.approx(each.tolist(), abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(corpora())
def test_equal_to_coco_caption_on_random_captions(corpus):
    check(corpus)


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_equal_to_coco_caption_on_adversarial_captions(name):
    check(ADVERSARIAL[name])


@settings(deadline=None, max_examples=30)
@given(corpora(references=SENTENCES, images=4))
def test_equal_to_the_papers_equations(corpus):
    hypotheses, references = corpus
    found = score(*corpus, ["cider", "cider_plain"], "none")
    for name, plain in (("cider", False), ("cider_plain", True)):
        slow = [slow_cider(hypotheses[k], references[k], list(references.values()), plain) for k in references]
        assert list(found[name].per_image.values()) == pytest.approx(slow, abs=1e-9)
