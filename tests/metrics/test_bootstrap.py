import numpy as np
import pytest

from soulchat_metrics.bootstrap import paired_p_values, percentile_intervals, resample


def mean_of(values: np.ndarray):
    return lambda rows: values[rows].mean(axis=0, keepdims=True)


def test_resamples_only_the_rows_that_count():
    values = np.array([1.0, 2.0, 1000.0])
    resampled = resample(mean_of(values), np.array([0, 1]), num_resamples=50, seed=0)
    assert resampled.shape == (50, 1)
    assert set(resampled[:, 0]) <= {1.0, 1.5, 2.0}


def test_interval_of_a_mean_is_that_of_the_normal_distribution():
    values = np.random.default_rng(0).normal(size=2000)
    resampled = resample(mean_of(values), np.arange(2000), num_resamples=1000, seed=0)
    [[low, high]] = percentile_intervals(resampled, 0.95)
    assert high - low == pytest.approx(2 * 1.96 / np.sqrt(2000), rel=0.1)


def test_p_values_are_uniform_where_systems_are_equal():
    generator = np.random.default_rng(0)
    p_values = []
    for seed in range(100):
        differences = generator.normal(size=100)
        resampled = resample(mean_of(differences), np.arange(100), num_resamples=200, seed=seed)
        p_values.append(paired_p_values(differences.mean(keepdims=True), resampled)[0])
    assert 1 <= sum(p < 0.05 for p in p_values) <= 12
    assert 0.4 < np.mean(p_values) < 0.6
