"""Progress within an epoch is only read where it fits."""

import pytest

from capsmith.core.errors import CheckpointError
from capsmith.training.epoch_state import EpochProgress


def test_progress_of_other_batches_is_refused(tmp_path):
    good = EpochProgress(epoch=2, step=3, loss=1.5, words=7, samples={"rewards": [0.5]}).to_json()
    assert EpochProgress.from_json(good, "here", 2, 5) == EpochProgress(2, 3, 1.5, 7, samples={"rewards": [0.5]})
    assert EpochProgress.from_json({}, "here", 2, 5) == EpochProgress(2)
    for change in ({"epoch": 1}, {"step": 6}, {"step": -1}, {"words": "x"}, {"rewards": [None]}, {"other": 1}):
        with pytest.raises(CheckpointError, match="here is damaged"):
            EpochProgress.from_json({"pass": good["pass"] | change}, "here", 2, 5)
