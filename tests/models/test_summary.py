"""The numbers of a summary add up, and its diagram shows the parts of every decoder."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from capsmith import Captioner, load_config
from capsmith.core.errors import CapsmithError
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.evaluation.diagram import diagram, save_diagram
from capsmith.models.caption_model import build_model
from capsmith.models.member import Member
from capsmith.models.summary import decoder_rows, encoder_rows, size
from capsmith.vision.encoder import build_encoder, build_encoders
from tests.support import shapes

VOCABULARY = Vocabulary.build([["a", "red", "bar"]])
DECODERS = {
    "merge": {"type": "merge"},
    "merge, tied": {"type": "merge", "fusion": "concat", "tie_embeddings": True, "standardise": True},
    "inject init": {"type": "inject", "layers": 2, "layer_norm": True},
    "inject pre": {"type": "inject", "mode": "pre", "cell": "gru"},
    "inject par": {"type": "inject", "mode": "par"},
    "attention": {"type": "attention", "attention_units": 8},
    "updown": {"type": "updown", "attention_units": 8, "heads": 2},
    "aoa": {"type": "aoa", "attention_units": 8, "heads": 2, "standardise": True},
    "aoa, no input feeding": {"type": "aoa", "attention_units": 8, "heads": 2, "input_feeding": False},
}


def made(decoder, encoder=None):
    values = shapes.settings(encoder={"output": "grid", "image_size": 48, **(encoder or {})})
    values["decoder"] = {"units": 16, "embedding": {"size": 8}, **DECODERS[decoder]}
    config = load_config(values)
    built = build_encoder(config.encoder)
    model = build_model(config, VOCABULARY, built.feature_shape, built)
    return Captioner([Member(config, VOCABULARY, model, built.feature_shape, built)])


def numbers(weights):
    return sum(int(np.prod(weight.shape)) for weight in weights)


@pytest.mark.parametrize("decoder", DECODERS)
def test_parameters_and_bytes_add_up(decoder):
    captioner = made(decoder)
    rows = decoder_rows(captioner.members[0])
    expected = numbers(captioner.model.decoder.weights)
    assert sum(row.parameters for row in rows) == expected and sum(row.bytes for row in rows) == 4 * expected
    assert len({row.name for row in rows}) == len(rows)
    text = captioner.summary()
    encoder = numbers(captioner.encoder.core.weights)
    assert f"{expected:,} parameters" in text and f"{encoder:,} parameters" in text
    assert f"{expected + encoder:,} parameters" in text and "48 × 48 × 3 → 9 × 128" in text


def test_the_layers_of_an_encoder_add_up():
    captioner = made("merge")
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


# --- the diagram ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_diagram_counts_every_parameter(decoder):
    """The boxes' parameter counts add up to the model's: none is missing or counted twice."""
    captioner = made(decoder)
    texts = [node.text for node in ET.fromstring(diagram(captioner).svg()).iter("{http://www.w3.org/2000/svg}text")]
    told = [int(found[1].replace(",", "")) for text in texts if (found := re.fullmatch(r"([\d,]+) parameters", text))]
    assert sum(told) == numbers(captioner.model.decoder.weights) + numbers(captioner.encoder.core.weights)
    assert {"image", "words so far", "next word"} <= set(texts)


@pytest.mark.parametrize("decoder", DECODERS)
def test_boxes_do_not_overlap_and_arrows_end_at_their_edges(decoder):
    root = ET.fromstring(diagram(made(decoder)).svg())
    space = "{http://www.w3.org/2000/svg}"
    width, height = float(root.get("width")), float(root.get("height"))
    _, *rectangles = root.iter(f"{space}rect")  # the first is the background
    boxes = [[float(node.get(key)) for key in ("x", "y", "width", "height")] for node in rectangles]
    edges = [(x, y, x + w, y + h) for x, y, w, h in boxes]
    assert all(x >= 0 and y >= 0 and x2 <= width and y2 <= height for x, y, x2, y2 in edges)
    for index, (x, y, x2, y2) in enumerate(edges):
        for a, b, a2, b2 in edges[index + 1 :]:
            assert x2 < a or a2 < x or y2 + 20 < b or b2 + 20 < y
    for head in root.iter(f"{space}polygon"):
        x, y = (float(part) for part in head.get("points").split(" ")[0].split(","))
        assert any(
            min(abs(x - a), abs(x - a2)) < 0.6 and b <= y <= b2 or min(abs(y - b), abs(y - b2)) < 0.6 and a <= x <= a2
            for a, b, a2, b2 in edges
        )


def test_a_custom_decoder_is_one_box(monkeypatch):
    monkeypatch.setattr("capsmith.evaluation.diagram_layout._LAYOUTS", {})
    captioner = made("updown")
    inner = numbers(captioner.model.decoder.weights) - numbers(captioner.model.decoder.embedding.weights)
    inner -= numbers(captioner.model.decoder.output_layer.weights)
    assert ">updown<" in (svg := diagram(captioner).svg()) and f">{inner:,} parameters<" in svg


def test_each_encoder_has_a_line():
    config = load_config(
        {**shapes.settings(), "encoder": [{"type": "small_cnn", "image_size": 32}, {"type": "small_cnn"}]}
    )
    encoders = build_encoders(config.encoders)
    model = build_model(config, VOCABULARY, encoders.feature_shape, encoders)
    captioner = Captioner([Member(config, VOCABULARY, model, encoders.feature_shape, encoders)])
    assert "2 encoders" in diagram(captioner).svg() and captioner.summary().count("CNN, frozen") == 2


def test_diagram_replaces_an_earlier_diagram(tmp_path):
    for name in ("attention", "merge"):
        save_diagram(made(name), tmp_path / "model.svg")
        assert (tmp_path / "model.svg").read_text() == diagram(made(name)).svg()


@pytest.mark.parametrize("name", ["model.pdf", "model", "photo.png", "page.svg", "folder.svg"])
def test_other_files_are_not_replaced(tmp_path, name):
    Image.new("RGB", (9, 9)).save(tmp_path / "photo.png")
    (tmp_path / "page.svg").write_text("<svg/>")
    (tmp_path / "folder.svg").mkdir()
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with pytest.raises(CapsmithError, match=name):
        save_diagram(made("merge"), tmp_path / name)
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
