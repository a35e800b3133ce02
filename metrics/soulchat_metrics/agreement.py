"""Agreement of raters: Fleiss' kappa and percent agreement, with bootstrap intervals over the subjects.

Beside them weighted kappa of two raters, the intraclass correlation, and Krippendorff's alpha.
"""

import math
from collections.abc import Callable
from typing import Literal

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
        raise ValueError(f"counts have the shape {table.shape}; allowed: a table of subjects by categories")
    whole = np.issubdtype(table.dtype, np.number) and np.isfinite(table).all() and (table == np.floor(table)).all()
    if not whole or (table < 0).any():
        raise ValueError("counts are no numbers of raters; allowed: whole numbers, 0 or more")
    raters = table.sum(axis=1)
    uneven = np.flatnonzero(raters != raters[0])
    if len(uneven):
        row = uneven[0]
        raise ValueError(f"row {row} has {raters[row]} raters, but row 0 has {raters[0]}; all rows must have as many")
    if raters[0] < 2:
        raise ValueError(f"every row has {raters[0]} raters; agreement needs at least 2")
    return table.astype(np.int64)


def quadratic_kappa(confusion: ArrayLike) -> float:
    """Cohen's kappa of two raters with quadratic weights (Cohen, 1968).

    Args:
        confusion: [num_points, num_points], how often the first chose the row and the second the column.

    Returns:
        At most 1; nan where both always chose one and the same point, or there is nothing.
    """
    table = np.asarray(confusion, dtype=np.float64)
    points = np.arange(len(table))
    distance = (points[:, None] - points) ** 2
    by_chance = np.outer(table.sum(axis=1), table.sum(axis=0)) * distance
    if not by_chance.any():
        return math.nan
    return float(1 - (table * distance).sum() * table.sum() / by_chance.sum())


def intraclass_correlation(ratings: ArrayLike) -> float:
    """ICC(2,1): two-way random effects, absolute agreement, a single rater (Shrout and Fleiss, 1979).

    Args:
        ratings: [num_items, num_raters], without gaps.

    Returns:
        At most 1; nan where all ratings are equal, two raters give two items just the opposite, or there are fewer
        than two items or raters.
    """
    table = np.asarray(ratings, dtype=np.float64)
    items, raters = table.shape
    if items < 2 or raters < 2 or (table == table[0, 0]).all():
        return math.nan
    mean, by_item, by_rater = table.mean(), table.mean(axis=1), table.mean(axis=0)
    of_items = raters * ((by_item - mean) ** 2).sum() / (items - 1)
    of_raters = items * ((by_rater - mean) ** 2).sum() / (raters - 1)
    residual = ((table - by_item[:, None] - by_rater + mean) ** 2).sum() / ((items - 1) * (raters - 1))
    whole = of_items + (raters - 1) * residual + raters * (of_raters - residual) / items
    return float((of_items - residual) / whole) if whole > 0 else math.nan


def krippendorff_alpha(counts: ArrayLike, level: Literal["ordinal", "nominal"] = "ordinal") -> float:
    """Krippendorff's alpha of any number of raters, some of whom may lack on some items (Krippendorff, 2011).

    Args:
        counts: [num_items, num_points], how many raters gave the item the point; points in their order.
        level: of the scale.

    Returns:
        At most 1; nan where all ratings of items with two or more are equal, or there are none.
    """
    table = np.asarray(counts, dtype=np.float64)
    table = table[table.sum(axis=1) >= 2]
    pairs = table / (table.sum(axis=1, keepdims=True) - 1)
    observed = table.T @ pairs - np.diag(pairs.sum(axis=0))
    totals = table.sum(axis=0)
    expected = np.outer(totals, totals) - np.diag(totals)
    distance = _distance(totals, level)
    if not (expected * distance).any():
        return math.nan
    return float(1 - (totals.sum() - 1) * (observed * distance).sum() / (expected * distance).sum())


def _distance(totals: NDArray[np.float64], level: Literal["ordinal", "nominal"]) -> NDArray[np.float64]:
    """How far apart two points are: [num_points, num_points]."""
    if level == "nominal":
        return 1.0 - np.eye(len(totals))
    # Ordinal: the ratings between the middles of both points, squared.
    middles = np.cumsum(totals) - totals / 2
    return (middles[:, None] - middles) ** 2
