"""The benchmarks of sharded data sets measure what they say."""

import numpy as np
import pytest

from benchmarks.scale import corpus_memory, far_rate, shards
from capsmith.data.batches import Batches
from capsmith.data.encoded_captions import EncodedCaptions, Example
from capsmith.vision.grid_file import GridFile


def test_both_forms_hold_the_same():
    objects, flat = corpus_memory.records_objects(50), corpus_memory.records_flat(50)
    assert [(r.image_id, r.path, r.captions) for r in objects] == [(r.image_id, r.path, r.captions) for r in flat]
    examples, _, _, batches, _ = corpus_memory.batches_objects(50)
    made = corpus_memory.batches_flat(50)
    assert list(made.new.examples) == examples and len(batches) == len(made)


def test_rows_of_the_store_repeat_the_features(tmp_path):
    features = np.random.default_rng(0).normal(0, 1, (7, *far_rate.GRID)).astype(np.float16)
    far_rate.write_store(tmp_path, features, 20)
    source = far_rate.Rows(GridFile(tmp_path / "features.npy", far_rate.GRID, "float16", 20))
    assert (source.gather(np.arange(20)) == features[np.arange(20) % 7]).all()
    examples = EncodedCaptions(Example(row, ((row + 4, 5),)) for row in range(20))
    found = far_rate.measure(Batches(source, examples, 2, 0, window=8))
    assert len(found["wall"]) == len(found["resident"]) == 10 and min(found["wall"]) > 0
    source.file.close()


def test_ratios_and_differences():
    steps = {"extract": (2.0, 1.0)}
    seconds = [{"folder": steps, "parquet": {"extract": (wall, 1.0)}} for wall in (1.0, 2.0, 4.0)]
    assert shards.ratio(seconds, "parquet", "extract", 0) == 1.0
    rows = {kind: [{"loss": loss, "seconds": loss}] for kind, loss in (("folder", 1.0), ("webdataset", 1.0))}
    assert shards.difference({**rows, "parquet": [{"loss": 1.5, "seconds": 9.0}]}) == pytest.approx(0.5)
