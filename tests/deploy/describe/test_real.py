"""The starter and the real NanoDet on real photographs, looked at: see docs/describe.md."""

import pytest

from capsmith.core.starter import has_starter, starter_folder
from capsmith.deploy.describe import Describer
from capsmith.deploy.runtime import Captioner
from capsmith.vision.detection import load_detector


@pytest.fixture(scope="module")
def describer(shared):
    model = shared / "weights" / "nanodet_coco80_416.onnx"
    if not model.is_file() or not has_starter():
        pytest.skip("needs the starter and ../shared/weights/nanodet_coco80_416.onnx")
    return Describer(Captioner.load(starter_folder()), load_detector(model))


@pytest.mark.parametrize(
    ("photo", "word", "status", "labels", "unnamed"),
    [
        ("soccer.jpg", "players", "confirmed", ["person", "person"], ["sports ball"]),
        ("plane.jpg", "person", "unconfirmed", [], ["airplane"]),
        ("surfing.jpg", "surfer", "confirmed", ["person"], ["surfboard"]),
    ],
)
def test_people_are_confirmed_where_there_are_people(describer, shared, photo, word, status, labels, unnamed):
    one = describer.describe(shared / "photos" / photo)
    first = one.grounding.words[0]
    assert (first.word, first.status) == (word, status) and not one.failed
    assert [one.objects.objects[number].label for number in first.objects] == labels
    assert [one.objects.objects[number].label for number in one.grounding.unnamed] == unnamed
