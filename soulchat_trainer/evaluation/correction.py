"""Means of what people would say, from a judge's scores of all items and people's ratings of some.

The rated items must be a sample that chance has drawn from the judged ones, as `soulchat rate create` draws it.

Every function works on the last axis, so that thousands of studies of one size are corrected at once.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Scale = tuple[float, float]  # the lowest and the highest mean that there can be
ROUNDING = 1e-9  # so near to it, a leverage is 1
_STEPS = 6  # towards how many ratings are needed; each brings it nearer by far
_FEWEST = 5


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its interval, float64 [*studies]; nan where there is none."""

    mean: Numbers
    low: Numbers
    high: Numbers

    @property
    def width(self) -> Numbers:
        """From the lower to the upper end."""
        return self.high - self.low


def ratings_alone(rated: Numbers, scale: Scale, confidence: float = 0.95) -> Estimate:
    """The mean of people's ratings with Student's interval, moved by their skewness.

    Where most ratings are the highest point, Student's interval lies too high: a mean and its standard error then
    hang together. It keeps its width and is moved by the first term of Edgeworth's expansion of Student's t,
    `(1 + 2 t^2) / 6 * skewness / sqrt(n)` standard errors (Johnson, 1978; Hall, 1992). Equal ratings have no spread:
    so many others as Wilson's interval leaves room for could each be at an end of the scale.

    Args:
        rated: people's ratings, [*studies, n], n at least 2.
        scale: what bounds are cut to.
    """
    n = rated.shape[-1]
    mean, error = rated.mean(-1), np.sqrt(rated.var(-1, ddof=1) / n)
    quantile = _student_quantile(confidence, n - 1)
    moved = np.clip((1 + 2 * quantile**2) / 6 * _skewness(rated), -quantile, quantile)
    others = wilson_interval(np.zeros(mean.shape), np.array(n), confidence).high
    equal = _all_equal(rated)
    low = np.where(equal, mean - others * (mean - scale[0]), mean + (moved - quantile) * error)
    high = np.where(equal, mean + others * (scale[1] - mean), mean + (moved + quantile) * error)
    return Estimate(mean, np.clip(low, *scale), np.clip(high, *scale))


def power_tuning(rated: Numbers, judged: Numbers, unrated: Numbers) -> Numbers:
    """How far the judge is trusted, l in 0 to 1 (PPI++: Angelopoulos, Duchi and Zrnic, 2023, section 6).

    `cov(rated, judged) / ((1 + n / N) var(judged and unrated))`, bounded as ppi-python bounds it.

    Args:
        rated: people's ratings, [*studies, n].
        judged: the judge's scores of the same items, [*studies, n].
        unrated: the judge's scores of the other items, [*studies, N].

    Returns:
        [*studies]; 0 where there are no other items or all scores are equal.
    """
    n, others = rated.shape[-1], unrated.shape[-1]
    covariance = (_centred(rated) * _centred(judged)).mean(-1)
    variance = np.concatenate([judged, unrated], axis=-1).var(-1, ddof=1)
    if not others:
        return np.zeros_like(covariance)
    with np.errstate(divide="ignore", invalid="ignore"):
        trust = covariance / ((1 + n / others) * variance)
    return np.where(variance > 0, np.clip(trust, 0, 1), 0.0)


def power_tuned(rated: Numbers, judged: Numbers, unrated: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Mean and the two parts of its variance of prediction-powered inference with power tuning, each [*studies].

    `mean(rated - l judged) + l mean(unrated)`; `var(rated - l judged) / n` and `l^2 var(unrated) / N`, as ppi-python
    has them. A judge that tells nothing of people's ratings gets l = 0, which leaves the ratings alone.

    Args:
        rated, judged, unrated: as `power_tuning`.
    """
    trust = power_tuning(rated, judged, unrated)[..., None]
    rest = rated - trust * judged
    mean, of_ratings = rest.mean(-1), rest.var(-1) / rated.shape[-1]
    if not unrated.shape[-1]:
        return mean, of_ratings, np.zeros_like(mean)
    imputed = trust * unrated
    return mean + imputed.mean(-1), of_ratings, imputed.var(-1) / unrated.shape[-1]


def prediction_powered_mean(
    rated: Numbers, judged: Numbers, unrated: Numbers, scale: Scale, confidence: float = 0.95
) -> Estimate:
    """People's mean over all judged items, by `power_tuned` inference.

    The interval is wider than ppi-python's by what few ratings make uncertain: the variance of the ratings is that of
    leave-one-out residuals (HC3: MacKinnon and White, 1985), which are larger where a rare score of the judge has
    decided the tuning, and the quantile is Student's with n - 2 degrees of freedom. It lies askew as the ratings do
    (Hall's transformation, 1992); the skewness of what the judge leaves over would hang on a few of its errors. At 50
    ratings the normal interval covers 92 % where it says 95, and less where most ratings are the highest point.

    Args:
        rated, judged, unrated: as `power_tuning`; n at least 3.
        scale: what bounds are cut to.

    Returns:
        The whole scale where there is nothing to tune by: all ratings are equal, or, but for one rated item, the judge
        always gave the same score.
    """
    n = rated.shape[-1]
    mean, _, of_judge = power_tuned(rated, judged, unrated)
    rest = _centred(rated - power_tuning(rated, judged, unrated)[..., None] * judged)
    squares = _centred(judged) ** 2
    total = squares.sum(-1, keepdims=True)
    leverage = 1 / n + np.divide(squares, total, out=np.zeros_like(squares), where=total > 0)
    residuals = np.divide(rest, 1 - leverage, out=np.full_like(rest, np.inf), where=leverage < 1 - ROUNDING)
    error = np.where(_all_equal(rated), np.inf, np.sqrt((residuals**2).sum(-1) / n**2 + of_judge))
    quantile, skewness = _student_quantile(confidence, n - 2), _skewness(rated)
    low, high = (mean - error * _skewed(bound, skewness) for bound in (quantile, -quantile))
    return Estimate(mean, np.clip(low, *scale), np.clip(high, *scale))


def corrected_mean(
    rated: Numbers, judged: Numbers, unrated: Numbers, scale: Scale, confidence: float = 0.95
) -> Estimate:
    """`prediction_powered_mean` where its interval is narrower than that of the ratings alone, else the latter."""
    found = prediction_powered_mean(rated, judged, unrated, scale, confidence)
    return _narrower(found, ratings_alone(rated, scale, confidence))


def corrected_share(rated: Numbers, judged: Numbers, unrated: Numbers, confidence: float = 0.95) -> Estimate:
    """`double_sampled_share` where its interval is narrower than Wilson's of the ratings alone, else the latter."""
    found = double_sampled_share(rated, judged, unrated, confidence)
    return _narrower(found, share_alone(rated, confidence))


def _narrower(corrected: Estimate, alone: Estimate) -> Estimate:
    # A judge that tells nothing must cost nothing. Of two valid intervals the narrower covers a little less: by how
    # much, benchmarks/judge.py measures.
    chosen = corrected.width < alone.width
    pairs = ((corrected.mean, alone.mean), (corrected.low, alone.low), (corrected.high, alone.high))
    return Estimate(*(np.where(chosen, one, other) for one, other in pairs))


def share_alone(rated: Numbers, confidence: float = 0.95) -> Estimate:
    """People's share of ones with Wilson's interval. Args: rated: 0 or 1, as `ratings_alone`."""
    return wilson_interval(rated.sum(-1), np.array(rated.shape[-1]), confidence)


def wilson_interval(successes: Numbers, trials: Numbers, confidence: float = 0.95) -> Estimate:
    """A share with Wilson's interval (1927); nan where there are no trials."""
    z = _normal_quantile(confidence)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = successes / trials
        middle = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
        half = z * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2)) / (1 + z**2 / trials)
    return Estimate(share, middle - half, middle + half)


def double_sampled_share(rated: Numbers, judged: Numbers, unrated: Numbers, confidence: float = 0.95) -> Estimate:
    """People's share of ones over all judged items: the maximum of the likelihood (Tenenbein, 1970).

    Of the items that the judge gives a one (a zero), people's share of ones comes from the rated ones among them; how
    many items of either kind there are, from all. It is what Rogan and Gladen's correction and the ratings say
    together. The interval joins Wilson's of both shares by recovery of variances (Zou and Donner, 2008), since normal
    intervals of shares near 0 or 1 promise too much.

    Args:
        rated, judged, unrated: 0 or 1, as `power_tuning`.
    """
    all_judged = np.concatenate([judged, unrated], axis=-1)
    ones, count = judged.sum(-1), rated.shape[-1]
    weight = all_judged.mean(-1)
    among_ones = _share_or_anything((rated * judged).sum(-1), ones, confidence)
    among_zeros = _share_or_anything((rated * (1 - judged)).sum(-1), count - ones, confidence)
    mean = weight * among_ones.mean + (1 - weight) * among_zeros.mean
    variance = (among_ones.mean - among_zeros.mean) ** 2 * weight * (1 - weight) / all_judged.shape[-1]
    of_weight = _normal_quantile(confidence) ** 2 * variance
    below = [weight * (among_ones.mean - among_ones.low), (1 - weight) * (among_zeros.mean - among_zeros.low)]
    above = [weight * (among_ones.high - among_ones.mean), (1 - weight) * (among_zeros.high - among_zeros.mean)]
    low = mean - np.sqrt(of_weight + below[0] ** 2 + below[1] ** 2)
    high = mean + np.sqrt(of_weight + above[0] ** 2 + above[1] ** 2)
    return Estimate(mean, np.clip(low, 0, 1), np.clip(high, 0, 1))


def rogan_gladen(rated: Numbers, judged: Numbers, unrated: Numbers, confidence: float = 0.95) -> Estimate:
    """People's share of ones over all judged items, from the judge's share among the unrated (Rogan and Gladen, 1978).

    The interval is Lang and Reiczigel's (2014), which has the uncertainty of the judge's share and of the two shares
    of people's ones and zeros that it recognises. Unlike `double_sampled_share` it does not need rated items with as
    many ones as the others have, and it is wide where the judge is weak.

    Args:
        rated, judged, unrated: 0 or 1, as `power_tuning`.

    Returns:
        nan where people gave only ones or only zeros, or the judge tells them apart no better than chance.
    """
    z, others = _normal_quantile(confidence), unrated.shape[-1]
    ones, zeros = rated.sum(-1), (1 - rated).sum(-1)
    found_ones, found_zeros = (rated * judged).sum(-1), ((1 - rated) * (1 - judged)).sum(-1)
    apparent = unrated.mean(-1) if others else np.full(ones.shape, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        youden = found_ones / ones + found_zeros / zeros - 1
        mean = (apparent + found_zeros / zeros - 1) / youden
        share = (others * apparent + z**2 / 2) / (others + z**2)
        sensitivity, specificity = (found_ones + 1) / (ones + 2), (found_zeros + 1) / (zeros + 2)
        slope = sensitivity + specificity - 1
        middle = (share + specificity - 1) / slope
        of_ones = sensitivity * (1 - sensitivity) / (ones + 2)
        of_zeros = specificity * (1 - specificity) / (zeros + 2)
        shift = 2 * z**2 * (middle * of_ones - (1 - middle) * of_zeros)
        variance = share * (1 - share) / (others + z**2) + (1 - middle) ** 2 * of_zeros + middle**2 * of_ones
        half = z * np.sqrt(variance) / slope
        low, high = middle + shift - half, middle + shift + half
        undefined = ~((youden > 0) & (slope > 0) & np.isfinite(mean))
    return Estimate(*(np.where(undefined, np.nan, np.clip(bound, 0, 1)) for bound in (mean, low, high)))


def ratings_needed(
    rated: Numbers, judged: Numbers, unrated: Numbers, width: float, scale: Scale, confidence: float = 0.95
) -> int:
    """About how many of the judged items people must rate until the corrected interval has a width.

    Args:
        rated, judged, unrated: of one study, [n] and [N].
        width: from the lower to the upper end, above 0.
        scale: as `ratings_alone`; it decides where all ratings are equal so far.

    Returns:
        All together, those rated already among them. More than there are judged items: so many ratings without any
        help of the judge.
    """
    if not 0 < width < math.inf:
        raise ValueError(f"width is {width}; allowed: above 0")
    spread, total = float(rated.var(ddof=1)), rated.shape[-1] + unrated.shape[-1]
    covariance = float((_centred(rated) * _centred(judged)).mean())
    both = spread * float(np.concatenate([judged, unrated]).var(ddof=1))
    explained = covariance**2 / both if both > 0 and covariance > 0 else 0.0  # the squared correlation
    quantile = _normal_quantile(confidence)
    if _all_equal(rated):  # Wilson's share of others, z^2 / (n + z^2), times the scale is the width
        return max(rated.shape[-1], math.ceil(quantile**2 * ((scale[1] - scale[0]) / width - 1)))
    alone = spread / (width / (2 * quantile)) ** 2
    # The variance with n of them rated is spread / n * (1 - explained * (total - n) / total); how much few ratings
    # widen the interval of `prediction_powered_mean` depends on n, too: Student's quantile, a mean leverage of 2 / n.
    for _ in range(_STEPS):
        left = (width / (2 * quantile)) ** 2 - spread * explained / total
        needed = max(spread * (1 - explained) / left, _FEWEST) if left > 0 else math.inf
        if needed > total:
            return math.ceil(alone)
        quantile = _student_quantile(confidence, needed - 2) / (1 - 2 / needed)
    return math.ceil(needed)


def _share_or_anything(successes: Numbers, trials: Numbers, confidence: float) -> Estimate:
    """A share with Wilson's interval; between 0 and 1 where there are no trials."""
    found, none = wilson_interval(successes, trials, confidence), trials == 0
    bounds = zip((found.mean, found.low, found.high), (0.5, 0.0, 1.0), strict=True)
    return Estimate(*(np.where(none, anything, bound) for bound, anything in bounds))


def _centred(numbers: Numbers) -> Numbers:
    return numbers - numbers.mean(-1, keepdims=True)


def _normal_quantile(confidence: float) -> float:
    from scipy.stats import norm

    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; allowed: between 0 and 1, for example 0.95")
    return float(norm.ppf((1 + confidence) / 2))


def _student_quantile(confidence: float, freedom: float) -> float:
    from scipy.stats import t

    return float(t.ppf((1 + confidence) / 2, freedom))


def _all_equal(rated: Numbers) -> Numbers:
    return np.ptp(rated, axis=-1) == 0


def _skewness(rated: Numbers) -> Numbers:
    """Of the mean of ratings, [*studies]: theirs by the root of their number; 0 where all are equal."""
    parts = _centred(rated)
    spread = np.where(_all_equal(rated), 1, (parts**2).mean(-1))
    return (parts**3).mean(-1) / spread**1.5 / math.sqrt(rated.shape[-1])


def _skewed(quantile: float, skewness: Numbers) -> Numbers:
    """How many standard errors a quantile of a mean with this skewness is: the inverse of Hall's transformation.

    That is `x + s x^2 / 3 + s^2 x^3 / 27 + s / 6`, by which Student's t of skewed numbers becomes nearly normal.
    """
    rest = quantile - skewness / 6
    root = np.cbrt(1 + skewness * rest)
    return 3 * rest / (root**2 + root + 1)
