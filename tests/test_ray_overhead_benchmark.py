"""The arithmetic of ``benchmarks/scale/ray_overhead.py``, and what it compares."""

import json

import pytest

pytest.importorskip("pyarrow", reason="needs pyarrow")
pytest.importorskip("psutil", reason="needs psutil")

from benchmarks.scale.ray_overhead import Measured, captions, link  # noqa: E402
from tests.support.fake_captioner import make_images  # noqa: E402


def test_the_slope_has_no_start_in_it():
    one = Measured()
    for count, wall in ((100, 7.0), (300, 11.0), (100, 9.0)):
        one.add(count, wall, 2 * wall)
    assert (one.slope(), one.slope(cpu=True), one.start()) == (0.02, 0.04, 5.0)


def test_captions_of_both_forms_are_the_same(tmp_path):
    from pyarrow import parquet, table

    rows = {"image": ["a.jpg", "b.jpg"], "caption": ["one", "two"]}
    for way in ("folder", "ray"):
        (tmp_path / way / "shards").mkdir(parents=True)
    parquet.write_table(table(rows), tmp_path / "ray" / "shards" / "00000000.parquet")
    lines = [json.dumps(dict(zip(rows, pair, strict=True))) for pair in zip(*rows.values(), strict=True)]
    (tmp_path / "folder" / "captions.jsonl").write_text("\n".join(lines) + "\n")
    found = captions("folder", tmp_path / "folder")
    assert found == captions("ray", tmp_path / "ray") == {"a.jpg": "one", "b.jpg": "two"}


def test_too_few_images_are_said(tmp_path):
    make_images(tmp_path / "images", 2)
    with pytest.raises(SystemExit, match="2 images, not 3"):
        link(tmp_path / "images", tmp_path / "links", 3)
