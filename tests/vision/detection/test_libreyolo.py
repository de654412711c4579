"""Files of true architectures, exported with random weights, are read as the exporting program reads them.

Needs torch and libreyolo; the same for all architectures is ``python -m benchmarks.detection_layouts --true``.
"""

import pytest

pytest.importorskip("torch")
pytest.importorskip("libreyolo")

from tests.support.libreyolo_files import agreement, export  # noqa: E402

KINDS = {"yolo9": "libreyolo", "yolox": "yolox", "yolonas": "boxes_scores", "picodet": "libreyolo", "deim": "queries"}


@pytest.mark.parametrize("family", KINDS)
def test_boxes_are_those_of_the_exporting_program(family, tmp_path):
    result = agreement(export(family, tmp_path))
    assert result.layout == KINDS[family]
    assert result.objects > 50 and result.surplus == 0
    assert result.box < 1e-3 and result.score < 1e-6
