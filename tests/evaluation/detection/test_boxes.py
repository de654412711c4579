"""Boxes and labels drawn into images."""

import numpy as np
import pytest
from PIL import Image

from capsmith.evaluation.detection.boxes import DrawnImage, draw_boxes, save_boxes, summary
from capsmith.evaluation.detection.colours import class_colour, luminance, text_colour
from capsmith.evaluation.detection.label_places import place_labels
from capsmith.vision.detection.detector import Detected, Detection
from capsmith.vision.detection.labels import COCO

GREY = (128, 128, 128)


def detected(*objects, size=(640, 480)):
    return Detected(*size, tuple(Detection(*one) for one in objects))


def near(pixels, colour):
    return np.abs(pixels.astype(int) - colour).max(axis=-1) <= 3


def test_a_box_is_drawn_where_the_object_is():
    image = Image.new("RGB", (640, 480), GREY)
    pixels = np.asarray(draw_boxes(image, detected(("dog", 0.8, (200, 150, 400, 350)))))
    colour = class_colour("dog")
    rows, columns = np.nonzero(near(pixels, colour))
    assert (rows.max(), columns.min(), columns.max()) == (350, 200, 400)
    assert 100 < rows.min() < 150  # the label stands above
    assert near(pixels[350, 250:390], colour).all() and not near(pixels[200:300, 220:380], colour).any()
    assert np.array_equal(pixels[400:], np.full((80, 640, 3), 128))


def test_boxes_follow_the_size_of_the_drawing():
    small = draw_boxes(Image.new("RGB", (64, 48), GREY), detected(("dog", 0.8, (20, 15, 40, 35)), size=(64, 48)))
    large = draw_boxes(Image.new("RGB", (4000, 3000)), detected(("dog", 0.8, (0, 0, 90, 90)), size=(4000, 3000)))
    assert small.size == (640, 480) and large.size == (2048, 1536)
    rows, columns = np.nonzero(near(np.asarray(small), class_colour("dog")))
    assert (columns.min(), rows.max()) == (200, 350)


def test_a_box_inside_another_does_not_hide_its_lines():
    outer, inner = ("person", 0.9, (100, 100, 500, 400)), ("dog", 0.8, (50, 150, 300, 300))
    for objects in ((outer, inner), (inner, outer)):
        pixels = np.asarray(draw_boxes(Image.new("RGB", (640, 480), GREY), detected(*objects)))
        assert near(pixels[320:390, 101], class_colour("person")).all()
        assert near(pixels[200:290, 299], class_colour("dog")).all()


@pytest.mark.parametrize(
    "box", [(0, 0, 640, 480), (630, 470, 640, 480), (0, 0, 0.5, 0.5), (639.9, 0, 640, 480), (5, 5, 5, 5)]
)
def test_boxes_at_the_edge_and_tiny_ones_can_be_drawn(box):
    drawn = draw_boxes(Image.new("RGB", (640, 480), GREY), detected(("sports ball", 0.5, box)))
    assert near(np.asarray(drawn), class_colour("sports ball")).sum() > 1000  # the label is inside


def test_narrow_images_and_long_names():
    drawn = draw_boxes(Image.new("RGB", (30, 600), GREY), detected(("a very long name " * 5, 0.5, (0, 0, 30, 600))))
    assert drawn.height == 640


def test_labels_do_not_cover_each_other_and_stay_inside():
    rng = np.random.default_rng(0)
    corners = rng.integers(0, (560, 400), (25, 2))
    boxes = [
        (x, y, x + w, y + h)
        for (x, y), (w, h) in zip(corners.tolist(), rng.integers(20, 80, (25, 2)).tolist(), strict=True)
    ]
    places = place_labels(boxes, [(90, 20)] * 25, (640, 480), range(25))
    for number, one in enumerate(places):
        assert one[0] >= 0 and one[1] >= 0 and one[2] <= 640 and one[3] <= 480
        for other in places[:number]:
            assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


def test_the_first_label_stands_above_its_box():
    assert place_labels([(100, 100, 200, 200)], [(50, 20)], (640, 480), [0]) == [(100, 80, 150, 100)]
    assert place_labels([(100, 5, 200, 200)], [(50, 20)], (640, 480), [0]) == [(100, 5, 150, 25)]


def test_colours_are_stable_different_and_carry_readable_text():
    colours = [class_colour(name) for name in COCO]
    assert len(set(colours)) == 80
    assert class_colour("aeroplane") == class_colour("airplane") and class_colour("forklift") == class_colour(
        "Forklift"
    )
    for colour in [*colours, class_colour("forklift"), class_colour("狗")]:
        light, dark = sorted((luminance(colour), luminance(text_colour(colour))), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG 2, AA


def test_luminance_by_the_definition():
    assert luminance((255, 255, 255)) == pytest.approx(1) and luminance((0, 0, 0)) == 0
    assert luminance((255, 0, 0)) == pytest.approx(0.2126)
    assert luminance((188, 188, 188)) == pytest.approx(0.5029, abs=1e-3)


def test_several_images_become_a_sheet(tmp_path):
    image = Image.new("RGB", (64, 48), GREY)
    drawn = [DrawnImage(image, detected(("dog", 0.8, (20, 15, 40, 35)), size=(64, 48)), f"{n}.png") for n in range(3)]
    save_boxes(drawn, tmp_path / "sheet.jpg")
    save_boxes(drawn[:1], tmp_path / "one.png")
    with Image.open(tmp_path / "sheet.jpg") as sheet, Image.open(tmp_path / "one.png") as one:
        assert sheet.format == "JPEG" and sheet.width > 2 * 640 and one.size == (640, 480)


def test_the_summary_counts():
    objects = [("dog", 0.9, (0, 0, 9, 9)), ("person", 0.8, (0, 0, 9, 9)), ("dog", 0.7, (0, 0, 9, 9))]
    assert summary(detected(*objects)) == "dog (2), person" and summary(detected())
