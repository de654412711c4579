import pytest

from capsmith.core.errors import DataError
from capsmith.core.tables import RegistrationError
from capsmith.metrics import METRICS, Metric, register_metric
from capsmith.metrics.registry import canonical, expand, metric_of, title


def test_unknown_metric_names_the_nearest():
    with pytest.raises(DataError, match=r"'cider_dd'.*did you mean 'cider_d'"):
        canonical(["cider_dd"])
    with pytest.raises(DataError, match="one of: bleu, "):
        canonical([])


def test_every_metric_has_a_description():
    assert set(METRICS) == {"bleu", "rouge", "cider", "cider_d", "cider_plain", "meteor", "spice", "hallucination"}
    assert all(entry.description and "\n" not in entry.description for entry in METRICS.values())


@pytest.mark.parametrize(
    ("word", "name"),
    [("BLEU-4", "bleu4"), ("Bleu", "bleu"), ("ROUGE-L", "rouge"), ("rouge_l", "rouge"), ("CIDEr", "cider")]
    + [("CIDEr-D", "cider_d"), ("METEOR", "meteor"), ("SPICE", "spice"), ("cider-plain", "cider_plain")],
)
def test_metrics_are_found_by_their_published_names(word, name):
    assert canonical([word]) == [name]


@pytest.mark.parametrize("name", ["BLEU-4", "rouge_l", "Cider", "bleu"])
def test_a_taken_name_cannot_be_registered(name):
    with pytest.raises(RegistrationError, match="choose another name"):
        register_metric(name, "mine")(lambda hypotheses, references: [])


def test_every_score_has_a_metric_of_its_name_with_a_title():
    names = expand(METRICS)
    assert {"bleu1", "bleu4", "rouge", "cider_plain"} < set(names)
    assert all(isinstance(metric_of(name), Metric) and metric_of(name).name == name for name in names)
    assert len({title(name) for name in names}) == len(names)
