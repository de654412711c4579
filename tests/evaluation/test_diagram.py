"""The diagram of a captioner shows the parts of every decoder."""

import re
import xml.etree.ElementTree as ET

import pytest
from PIL import Image

from capsmith import Captioner, load_config
from capsmith.core.errors import CapsmithError
from capsmith.evaluation.diagram import diagram, save_diagram
from capsmith.models.caption_model import build_model
from capsmith.models.keras_member import KerasMember
from capsmith.vision.encoder import build_encoders
from tests.support import shapes
from tests.support.captioners import DECODERS, VOCABULARY, built_captioner, count


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_diagram_counts_every_parameter(decoder):
    """The boxes' parameter counts add up to the model's: none is missing or counted twice."""
    captioner = built_captioner(decoder)
    texts = [node.text for node in ET.fromstring(diagram(captioner).svg()).iter("{http://www.w3.org/2000/svg}text")]
    told = [int(found[1].replace(",", "")) for text in texts if (found := re.fullmatch(r"([\d,]+) parameters", text))]
    assert sum(told) == count(captioner.model.decoder.weights) + count(captioner.encoder.core.weights)
    assert {"image", "words so far", "next word"} <= set(texts)


@pytest.mark.parametrize("decoder", DECODERS)
def test_boxes_do_not_overlap_and_arrows_end_at_their_edges(decoder):
    root = ET.fromstring(diagram(built_captioner(decoder)).svg())
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
    captioner = built_captioner("updown")
    inner = count(captioner.model.decoder.weights) - count(captioner.model.decoder.embedding.weights)
    inner -= count(captioner.model.decoder.output_layer.weights)
    assert ">updown<" in (svg := diagram(captioner).svg()) and f">{inner:,} parameters<" in svg


def test_each_encoder_has_a_line():
    config = load_config(
        {**shapes.settings(), "encoder": [{"type": "small_cnn", "image_size": 32}, {"type": "small_cnn"}]}
    )
    encoders = build_encoders(config.encoders)
    model = build_model(config, VOCABULARY, encoders.feature_shape, encoders)
    captioner = Captioner([KerasMember(config, VOCABULARY, model, encoders.feature_shape, encoders)])
    assert "2 encoders" in diagram(captioner).svg() and captioner.summary().count("CNN, frozen") == 2


def test_diagram_replaces_an_earlier_diagram(tmp_path):
    for name in ("attention", "merge"):
        save_diagram(built_captioner(name), tmp_path / "model.svg")
        assert (tmp_path / "model.svg").read_text() == diagram(built_captioner(name)).svg()


@pytest.mark.parametrize("name", ["model.pdf", "model", "photo.png", "page.svg", "folder.svg"])
def test_other_files_are_not_replaced(tmp_path, name):
    Image.new("RGB", (9, 9)).save(tmp_path / "photo.png")
    (tmp_path / "page.svg").write_text("<svg/>")
    (tmp_path / "folder.svg").mkdir()
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with pytest.raises(CapsmithError, match=name):
        save_diagram(built_captioner("merge"), tmp_path / name)
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
