"""Bootstrap resampling of pairs (Koehn, 2004): intervals for one system, and a paired test of two."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
# Scores of the pairs with these row numbers together, float64 [num_metrics]; a row may come several times.
ScoreOfRows = Callable[[Rows], NDArray[np.float64]]


def resample(score_of_rows: ScoreOfRows, rows: Rows, num_resamples: int, seed: int) -> NDArray[np.float64]:
    """The scores of as many pairs drawn with replacement, time and again: float64 [num_resamples, num_metrics].

    Two systems that are resampled with the same rows and seed are scored on the same draws.

    Raises:
        ValueError: fewer than one resample.
    """
    if num_resamples < 1:
        raise ValueError(f"num_resamples is {num_resamples}; allowed: 1 or more")
    generator = np.random.default_rng(seed)
    draws = (rows[generator.integers(len(rows), size=len(rows))] for _ in range(num_resamples))
    return np.stack([score_of_rows(draw) for draw in draws])


def percentile_intervals(resampled: NDArray[np.float64], confidence: float) -> NDArray[np.float64]:
    """Low and high of each metric: float64 [num_metrics, 2].

    Args:
        resampled: [num_resamples, num_metrics].
        confidence: share of the resamples inside, for example 0.95.

    Raises:
        ValueError: the confidence is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; allowed: between 0 and 1, for example 0.95")
    tail = (1 - confidence) / 2
    return np.quantile(resampled, [tail, 1 - tail], axis=0).T


def paired_p_values(
    differences: NDArray[np.float64], resampled_differences: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How often chance alone gives a difference as large, of each metric: float64 [num_metrics].

    As in sacrebleu: the resampled differences, shifted to mean 0, stand for the null hypothesis.

    Args:
        differences: [num_metrics].
        resampled_differences: [num_resamples, num_metrics].
    """
    null = np.abs(resampled_differences - resampled_differences.mean(axis=0))
    return ((null >= np.abs(differences)).sum(axis=0) + 1) / (len(null) + 1)
