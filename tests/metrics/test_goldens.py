"""Published captions with published scores."""

import pytest
import yaml

from capsmith.core.errors import CapsmithError
from capsmith.metrics import java, score
from capsmith.metrics.files import align, read_captions, read_hypotheses, read_references

pytestmark = pytest.mark.shared
KERAS_FILTER = str.maketrans(dict.fromkeys('!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n', " "))
END = "zeosz"
NAMES = {"rouge": "rouge", "cider": "cider", **{f"bleu{n}": f"bleu_{n}" for n in range(1, 5)}}


@pytest.fixture(scope="module")
def captions(shared):
    return read_captions(shared / "flickr8k" / "Flickr8k.token.txt").captions


@pytest.fixture
def with_java():
    try:
        java.require_java("meteor")
    except CapsmithError as error:
        pytest.skip(str(error))


def danieljl(shared, captions, split):
    """Captions with the end word, references under that project's cleaning, and the published scores."""
    folder = shared / "golden" / "danieljl"
    predictions, published = (
        yaml.safe_load((folder / f"{split}-{kind}-3-20.yaml").read_text()) for kind in ("predictions", "metrics")
    )
    hypotheses = {key: text.split() for key, text in predictions.items()}
    references = {
        key: [[*text.lower().translate(KERAS_FILTER).split(), END] for text in captions[key]] for key in hypotheses
    }
    return hypotheses, references, published


@pytest.mark.parametrize("split", ["test", "validation"])
def test_danieljl_with_the_end_word(shared, captions, split):
    hypotheses, references, published = danieljl(shared, captions, split)
    for name, found in score(hypotheses, references, ["bleu", "rouge", "cider"], "none").items():
        assert found.value == pytest.approx(published[NAMES[name]], abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("split", ["test", "validation"])
def test_danieljls_meteor(shared, captions, split, with_java):
    hypotheses, references, published = danieljl(shared, captions, split)
    found = score(hypotheses, references, ["meteor"], "none")["meteor"]
    assert found.value == pytest.approx(published["meteor"], abs=1e-6)


def test_danieljl_without_the_end_word(shared, captions):
    hypotheses, references, _ = danieljl(shared, captions, "test")
    honest = {key: [word for word in tokens if word != END] for key, tokens in hypotheses.items()}
    without = {key: [tokens[:-1] for tokens in group] for key, group in references.items()}
    found = {name: s.value for name, s in score(honest, without, ["bleu4", "rouge", "cider"], "none").items()}
    assert found == pytest.approx({"bleu4": 0.183, "rouge": 0.425, "cider": 0.402}, abs=5e-4)


FAKECAP = {"bleu1": 0.579, "bleu2": 0.404, "bleu3": 0.279, "bleu4": 0.191, "rouge": 0.396, "cider": 0.600}


def fakecap(shared, metrics):
    folder = shared / "golden" / "coco_fakecap"
    references = read_references([folder / "en_captions_val2014.json"])
    given = align(read_hypotheses(folder / "en_captions_val2014_fakecap_results.json"), references)
    return score(given, references.captions, metrics)


def test_coco_captions_example(shared):
    found = fakecap(shared, ["bleu", "rouge", "cider"])
    assert {name: s.value for name, s in found.items()} == pytest.approx(FAKECAP, abs=5e-4)
    assert found["bleu4"].signature.startswith("bleu4|order:4|tok:coco.1|case:lower|nrefs:5-6|n:1000|")


def test_another_tokeniser_misses_the_published_numbers(shared):
    folder = shared / "golden" / "coco_fakecap"
    references = read_references([folder / "en_captions_val2014.json"])
    given = align(read_hypotheses(folder / "en_captions_val2014_fakecap_results.json"), references)
    found = score(given, references.captions, ["bleu1", "cider"], "none")
    assert all(abs(found[name].value - FAKECAP[name]) > 0.01 for name in found)


@pytest.mark.slow
def test_coco_captions_example_meteor(shared, with_java):
    assert fakecap(shared, ["meteor"])["meteor"].value == pytest.approx(0.195, abs=5e-4)
