"""The numbers of a summary add up."""

import pytest

from capsmith import Captioner
from capsmith.evaluation.diagram import diagram
from capsmith.models.summary import decoder_rows, encoder_rows, size
from tests.support import shapes
from tests.support.captioners import DECODERS, built_captioner, count


@pytest.mark.parametrize("decoder", DECODERS)
def test_parameters_and_bytes_add_up(decoder):
    captioner = built_captioner(decoder)
    rows = decoder_rows(captioner.members[0])
    expected = count(captioner.model.decoder.weights)
    assert sum(row.parameters for row in rows) == expected and sum(row.bytes for row in rows) == 4 * expected
    assert len({row.name for row in rows}) == len(rows)
    text = captioner.summary()
    encoder = count(captioner.encoder.core.weights)
    assert f"{expected:,} parameters" in text and f"{encoder:,} parameters" in text
    assert f"{expected + encoder:,} parameters" in text and "48 × 48 × 3 → 9 × 128" in text


def test_the_layers_of_an_encoder_add_up():
    captioner = built_captioner("merge")
    whole, *layers = encoder_rows(captioner.members[0], layers=True)
    assert sum(row.parameters for row in layers) == whole.parameters
    assert "block3_conv" in captioner.summary(layers=True) and "block3_conv" not in captioner.summary()


def test_a_summary_without_encoder():
    blind = Captioner.load(shapes.trained(), encoder=False)
    assert "features of 192" in blind.summary()
    assert "not in this run" in diagram(blind).svg()


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2.5e6, "2.5 MB"), (7e9, "7.0 GB")]
)
def test_sizes_are_formatted(count, text):
    assert size(count) == text
