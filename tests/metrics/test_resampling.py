import numpy as np
import pytest

from capsmith.metrics import resampling


def table(values):
    return np.column_stack([values, np.ones(len(values))])


def test_the_interval_of_a_mean_is_close_to_the_normal_interval():
    values = np.random.default_rng(0).normal(0.4, 0.2, 900)
    low, high = resampling.interval(table(values), resampling.mean)
    half = 1.96 * values.std() / 30
    assert low == pytest.approx(values.mean() - half, abs=0.002)
    assert high == pytest.approx(values.mean() + half, abs=0.002)


def test_intervals_cover_the_truth_about_19_times_in_20():
    generator = np.random.default_rng(1)
    inside = 0
    for _ in range(200):
        low, high = resampling.interval(table(generator.exponential(1.0, 80)), resampling.mean, resamples=300)
        inside += low <= 1.0 <= high
    assert 176 <= inside <= 199


def test_the_same_seed_gives_the_same_interval_and_another_one_another():
    values = table(np.random.default_rng(2).random(50))
    first = resampling.interval(values, resampling.mean)
    assert resampling.interval(values, resampling.mean) == first
    assert resampling.interval(values, resampling.mean, seed=1) != first


def test_block_size_does_not_change_the_resamples(monkeypatch):
    values = table(np.random.default_rng(2).random(50))
    first = resampling.interval(values, resampling.mean)
    monkeypatch.setattr(resampling, "_CELLS", 51)  # one resample at a time
    assert resampling.interval(values, resampling.mean) == pytest.approx(first, abs=1e-12)


def test_one_image_has_no_interval():
    assert resampling.interval(table([0.5]), resampling.mean) is None
    found = resampling.compare(table([0.5]), table([0.7]), resampling.mean)
    assert found.interval is None and found.p_value == 1
    assert found.difference == pytest.approx(-0.2)


def test_equal_captions_have_no_difference():
    values = table(np.random.default_rng(3).random(100))
    found = resampling.compare(values, values, resampling.mean)
    assert (found.difference, found.interval, found.p_value) == (0.0, (0.0, 0.0), 1.0)


def test_a_clear_difference_is_significant_with_the_right_sign():
    generator = np.random.default_rng(4)
    base = generator.random(300)
    better = base + 0.05 + generator.normal(0, 0.05, 300)
    found = resampling.compare(table(better), table(base), resampling.mean)
    assert found.difference == pytest.approx((better - base).mean())
    assert found.interval[0] > 0 and found.p_value < 0.01
    assert resampling.compare(table(base), table(better), resampling.mean).difference == -found.difference


def test_p_values_without_a_difference_are_uniform():
    generator = np.random.default_rng(5)
    p_values = []
    for _ in range(200):
        base = generator.random(60)
        found = resampling.compare(
            table(base + generator.normal(0, 0.1, 60)), table(base), resampling.mean, resamples=200
        )
        p_values.append(found.p_value)
    assert 0.01 <= np.mean(np.array(p_values) < 0.05) <= 0.11
    assert 0.4 < np.mean(p_values) < 0.6


def test_a_paired_test_finds_a_difference_that_intervals_hide():
    generator = np.random.default_rng(6)
    base = generator.random(200)
    better = base + 0.01 + generator.normal(0, 0.02, 200)
    first, second = (resampling.interval(table(v), resampling.mean) for v in (base, better))
    assert first[1] > second[0]  # the intervals overlap widely
    assert resampling.compare(table(better), table(base), resampling.mean).p_value < 0.01
