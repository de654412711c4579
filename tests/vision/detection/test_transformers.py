"""Exports of transformers' detectors give the objects that transformers' own processors give."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from capsmith.vision.detection.load import load_detector  # noqa: E402
from tests.support.libreyolo_files import repair_torchvision  # noqa: E402
from tests.support.transformers_files import SIDE, export, tiny_rtdetr, tiny_yolos  # noqa: E402

IMAGE = np.random.default_rng(3).integers(0, 256, (90, 150, 3), np.uint8)


def _processor(kind):
    repair_torchvision()
    size = {"height": SIDE, "width": SIDE}
    if kind == "rtdetr":
        from transformers.models.rt_detr.image_processing_pil_rt_detr import RTDetrImageProcessorPil

        return RTDetrImageProcessorPil(size=size)
    from transformers.models.yolos.image_processing_pil_yolos import YolosImageProcessorPil

    return YolosImageProcessorPil(size=size, do_pad=False)


@pytest.mark.parametrize(("kind", "make"), [("rtdetr", tiny_rtdetr), ("yolos", tiny_yolos)])
def test_objects_are_those_of_the_processor(kind, make, tmp_path):
    processor = _processor(kind)
    torch.manual_seed(0)
    detector = load_detector(export(make(), tmp_path / "model.onnx"))
    inputs = processor(images=Image.fromarray(IMAGE), return_tensors="pt")["pixel_values"]
    mine, _ = detector.layout.preparation.prepared(Image.fromarray(IMAGE), (SIDE, SIDE))
    np.testing.assert_allclose(mine, inputs.numpy(), atol=1e-5)
    values = detector._computed(mine)  # torch orders queries of equal scores in another way
    outputs = SimpleNamespace(**{name: torch.tensor(value) for name, value in values.items()})
    expected = processor.post_process_object_detection(outputs, 0.01, target_sizes=[(90, 150)])[0]
    scores = expected["scores"].numpy()
    threshold = float(np.sort(scores)[::-1][min(8, len(scores) - 1)])
    objects = detector.detect(IMAGE, threshold).objects
    boxes, numbers = expected["boxes"].numpy(), expected["labels"].numpy()
    boxes = np.clip(boxes, 0, [150, 90, 150, 90])
    seen = 0
    for row in np.argsort(-scores, kind="stable"):
        name = detector._labels[numbers[row]]
        left, top, right, bottom = boxes[row]
        if scores[row] > threshold + 1e-6 and name is not None and left < right and top < bottom:
            matches = [each for each in objects if each.label == name and abs(each.score - scores[row]) < 1e-4]
            assert any(np.allclose(each.box, boxes[row], atol=0.05) for each in matches)
            seen += 1
    assert seen >= 3 and len(objects) >= seen
