"""The benchmark of descriptions counts what it measures."""

import time

import pytest

from benchmarks.describe import measure
from tests.support.describing import Broken, SentenceCaptioner, toy_describer


class SlowCaptioner(SentenceCaptioner):
    calls = 0

    def caption(self, images):
        self.calls += 1
        time.sleep(0.02)
        return super().caption(images)


def test_figures_are_of_warm_rounds(tmp_path):
    slow = SlowCaptioner()
    figures = measure(toy_describer(tmp_path, captioner=slow), sorted((tmp_path / "photos").glob("*.png"))[:2], 3)
    assert slow.calls == 2 * (1 + 3) and figures["describe.images"] == 2
    assert 0.02 <= figures["describe.caption_seconds"] <= figures["describe.slowest_seconds"] + 0.02
    assert figures["describe.slowest_seconds"] >= figures["describe.seconds"] >= 0.02
    assert figures["describe.parts_seconds"] >= figures["describe.caption_seconds"]
    assert figures["describe.processor_seconds"] > 0


def test_a_part_that_fails_is_no_measurement(tmp_path):
    describer = toy_describer(tmp_path, detector=Broken())
    with pytest.raises(RuntimeError, match="objects"):
        measure(describer, [tmp_path / "photos" / "red.png"], 1)
