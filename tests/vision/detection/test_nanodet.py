"""The real NanoDet finds what stands on the three photographs."""

import pytest

from capsmith.vision.detection.load import load_detector


def _overlap(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inner = max(width, 0) * max(height, 0)
    return inner / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inner)


def test_the_photographs(shared):
    model = shared / "weights" / "nanodet_coco80_416.onnx"
    if not model.is_file():
        pytest.skip("needs ../shared/weights/nanodet_coco80_416.onnx")
    detector = load_detector(model)
    found = {
        name: detector.detect(shared / "photos" / f"{name}.jpg").objects for name in ("plane", "soccer", "surfing")
    }
    assert [each.label for each in found["plane"]] == ["airplane"] and found["plane"][0].score > 0.8
    assert [each.label for each in found["soccer"]] == ["sports ball", "person", "person"]
    assert [each.label for each in found["surfing"]] == ["person", "surfboard"]
    assert _overlap(found["plane"][0].box, (518, 358, 711, 482)) > 0.9  # read off the enlarged photograph
    assert _overlap(found["soccer"][0].box, (974, 712, 1063, 793)) > 0.75
