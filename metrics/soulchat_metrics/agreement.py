"""Agreement of raters: Fleiss' kappa and percent agreement, with bootstrap intervals over the subjects."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .bootstrap import percentile_intervals, resample


def fleiss_kappa(counts: ArrayLike) -> float:
    """Agreement beyond chance of the same number of raters on every subject (Fleiss, 1971), by statsmodels.

    Args:
        counts: [num_subjects, num_categories], how many raters put the subject in the category.

    Returns:
        At most 1; 0 is chance. 1.0 where all ratings are of one category: there the formula is 0/0, statsmodels gives
        nan, and the SoulChat paper (section 3.3, safety) reports 1.

    Raises:
        ValueError: the table is none of counts, or its rows have different numbers of raters.
    """
    from statsmodels.stats import inter_rater

    table = _check_counts(counts)
    if np.count_nonzero(table.sum(axis=0)) == 1:
        return 1.0
    return float(inter_rater.fleiss_kappa(table, method="fleiss"))


def percent_agreement(counts: ArrayLike) -> float:
    """The share of pairs of raters, over all subjects, that chose the same category: 0 to 1.

    Args:
        counts: as `fleiss_kappa`.

    Raises:
        ValueError: as `fleiss_kappa`.
    """
    table = _check_counts(counts)
    raters = table[0].sum()
    return float(((table**2).sum(axis=1) - raters).mean() / (raters * (raters - 1)))


def agreement_interval(
    agreement: Callable[[ArrayLike], float],
    counts: ArrayLike,
    confidence: float = 0.95,
    num_resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Low and high of `fleiss_kappa` or `percent_agreement`, by bootstrap over the subjects.

    Args:
        agreement: one of the two functions.
        counts: as `fleiss_kappa`.
        confidence, num_resamples, seed: of the bootstrap.

    Raises:
        ValueError: as `fleiss_kappa`, or the confidence is not between 0 and 1.
    """
    table = _check_counts(counts)
    resampled = resample(lambda rows: np.array([agreement(table[rows])]), np.arange(len(table)), num_resamples, seed)
    [[low, high]] = percentile_intervals(resampled, confidence).tolist()
    return low, high


def _check_counts(counts: ArrayLike) -> NDArray[np.int64]:
    table = np.asarray(counts)
    if table.ndim != 2 or not table.size:
        raise ValueError(f"counts have the shape {table.shape}; they must be a table of subjects by categories")
    whole = np.issubdtype(table.dtype, np.number) and np.isfinite(table).all() and (table == np.floor(table)).all()
    if not whole or (table < 0).any():
        raise ValueError("counts must be whole numbers of raters, 0 or more")
    raters = table.sum(axis=1)
    uneven = np.flatnonzero(raters != raters[0])
    if len(uneven):
        row = uneven[0]
        raise ValueError(f"row {row} has {raters[row]} raters, but row 0 has {raters[0]}; all rows must have as many")
    if raters[0] < 2:
        raise ValueError(f"every row has {raters[0]} raters; agreement needs at least 2")
    return table.astype(np.int64)
