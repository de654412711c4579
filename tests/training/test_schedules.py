import math

import pytest

from capsmith.training.config import TrainingConfig
from capsmith.training.schedules import learning_rate

STEPS = 4


def rates(steps, scale=1.0, **settings):
    config = TrainingConfig(**{"learning_rate": 1e-3, "warmup": 0, "epochs": 5, **settings})
    return [learning_rate(config, step, STEPS, scale) for step in steps]


def test_warm_up_climbs_evenly_and_reaches_the_peak():
    found = rates(range(6), schedule="constant", warmup=1)
    assert found == pytest.approx([0.2e-3, 0.4e-3, 0.6e-3, 0.8e-3, 1e-3, 1e-3])
    assert rates([0, 1, 2], schedule="constant", warmup=0.5) == pytest.approx([1e-3 / 3, 2e-3 / 3, 1e-3])


def test_cosine_at_points_worked_out_by_hand():
    found = rates([4, 8, 12, 20, 40], schedule="cosine", warmup=1, final_rate=0.1)
    quarter = 0.1 + 0.9 * (1 + math.sqrt(0.5)) / 2
    assert found == pytest.approx([1e-3, quarter * 1e-3, 0.55e-3, 0.1e-3, 0.1e-3])


def test_cosine_falls_at_every_step():
    found = rates(range(20), schedule="cosine", final_rate=0)
    assert found[0] == pytest.approx(1e-3)
    assert all(later < before for before, later in zip(found, found[1:], strict=False))
    assert 0 < found[-1] < 0.01e-3


def test_plateau_scales_the_peak_and_the_warm_up():
    assert rates([4, 400], scale=0.25, schedule="plateau") == pytest.approx([0.25e-3, 0.25e-3])
    assert rates([0], scale=0.5, schedule="plateau", warmup=1) == pytest.approx([0.1e-3])


def test_a_warm_up_longer_than_the_training_never_reaches_the_peak():
    found = rates(range(5 * STEPS), schedule="cosine", warmup=10)
    assert max(found) < 0.5e-3
    assert found == sorted(found)


def test_one_cycle_at_points_worked_out_by_hand():
    """Ten epochs: rises for three from a 25th of the peak, then decays for seven."""
    found = rates([0, 6, 12, 26, 40], schedule="onecycle", epochs=10, final_rate=0.1, warmup=2)
    assert found == pytest.approx([0.04e-3, 0.52e-3, 1e-3, 0.55e-3, 0.1e-3])
    every = rates(range(41), schedule="onecycle", epochs=10)
    assert max(every) == every[12] == pytest.approx(1e-3)
