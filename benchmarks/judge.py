"""Corrected means in simulated studies: how often 95 % intervals hold the truth, and what a useless judge costs.

python benchmarks/judge.py
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from measuring import circumstances, write_results

from soulchat_trainer.evaluation.correction import (
    Estimate,
    Numbers,
    corrected_mean,
    corrected_share,
    ratings_alone,
    share_alone,
)

STUDIES = 4000
JUDGES = ("unbiased", "overrating", "noisy", "order")
USELESS = "useless"
SIZES = [(50, 450), (50, 50), (50, 1950), (100, 900), (200, 1000)]  # rated and only judged items
FEW = [(5, 45), (10, 90), (20, 180)]
RATERS, OF_RATERS = 3, [(20, 180), (50, 450), (100, 900), (200, 1000)]
SCALES = {
    "0 to 2": [0.2, 0.4, 0.4],
    "0 to 3": [0.1, 0.2, 0.4, 0.3],
    "six of ten at the top": [0.1, 0.3, 0.6],
    "eight of ten at the top": [0.05, 0.15, 0.8],
    "nine of ten at the top": [0.02, 0.08, 0.9],
    "five points": [0.02, 0.03, 0.1, 0.25, 0.6],
}
SAFETY = {"three of ten unsafe": [0.3, 0.7], "one of five unsafe": [0.2, 0.8], "one of twenty unsafe": [0.05, 0.95]}
Study = tuple[Numbers, Numbers, Numbers]
Correct = Callable[[Numbers, Numbers, Numbers], Estimate]
Alone = Callable[[Numbers], Estimate]


def draw_studies(
    judge: str, shares: list[float], rated: int, unrated: int, seed: int = 0, studies: int = STUDIES, raters: int = 1
) -> tuple[Study, float]:
    """Studies of a judge, each [studies, items], and people's true mean.

    Args:
        judge: unbiased: right in 80 %, else any point by the shares. overrating: a point too high half of the time.
            noisy: hardly anything of people's. order: shown second it is a point higher, whatever people say; shown
            first unbiased; half of the items are shown in each order. useless: nothing of people's.
        shares: of people's points 0, 1, ….
        raters: of several, each gives an item's own point in 80 %, else any by the shares; people's is their mean.
    """
    generator = np.random.default_rng(seed)
    size, points = (studies, rated + unrated), np.arange(len(shares))
    people = generator.choice(points, size, p=shares)
    others = generator.choice(points, size, p=shares)
    unbiased = np.where(generator.random(size) < 0.8, people, others)
    higher = np.minimum(people + 1, points[-1])
    judged = {
        "unbiased": unbiased,
        "overrating": np.where(generator.random(size) < 0.5, higher, people),
        "noisy": np.where(generator.random(size) < 0.3, people, others),
        "order": np.where(generator.random(size) < 0.5, np.minimum(unbiased + 1, points[-1]), unbiased),
        USELESS: others,
    }[judge]
    if raters > 1:
        own, drawn = (generator.random((raters, *size)) < 0.8), generator.choice(points, (raters, *size), p=shares)
        people = np.where(own, people, drawn).mean(axis=0)
    study = people[:, :rated].astype(float), judged[:, :rated].astype(float), judged[:, rated:].astype(float)
    return study, float(np.dot(points, shares))


def coverage(estimate: Estimate, truth: float) -> float:
    """In which share of studies the interval holds the truth."""
    return float(np.mean((estimate.low <= truth) & (truth <= estimate.high)))


def of_scale(shares: list[float]) -> tuple[Correct, Alone]:
    """How means of a scale are corrected, and taken from the ratings alone."""
    scale = 0, len(shares) - 1
    return partial(corrected_mean, scale=scale), partial(ratings_alone, scale=scale)


def measure(
    shares: list[float], correct: Correct, alone: Alone, sizes: Sequence[tuple[int, int]] = SIZES, raters: int = 1
) -> dict[str, Any]:
    """Coverage by size and judge; widths beside those of the ratings alone."""
    found: dict[str, Any] = {}
    for rated, unrated in sizes:
        by_judge = {}
        for judge in (*JUDGES, USELESS):
            study, truth = draw_studies(judge, shares, rated, unrated, seed=rated + unrated, raters=raters)
            corrected, people = correct(*study), alone(study[0])
            by_judge[judge] = {
                "coverage": round(coverage(corrected, truth), 4),
                "coverage_of_ratings_alone": round(coverage(people, truth), 4),
                "mean_width": round(float(corrected.width.mean()), 4),
                "mean_width_of_ratings_alone": round(float(people.width.mean()), 4),
                "never_wider_than_ratings_alone": bool((corrected.width <= people.width).all()),
            }
        found[f"{rated} of {rated + unrated}"] = by_judge
    return found


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    scales = {name: measure(shares, *of_scale(shares)) for name, shares in SCALES.items()}
    few = {name: measure(shares, *of_scale(shares), sizes=FEW) for name, shares in SCALES.items()}
    means = {name: measure(shares, *of_scale(shares), OF_RATERS, RATERS) for name, shares in SCALES.items()}
    safety = {name: measure(shares, corrected_share, share_alone) for name, shares in SAFETY.items()}
    found = {"studies": STUDIES, "scales": scales, "few": few, "means of three raters": means, "safety": safety}
    write_results("judge", {**circumstances("numpy", "scipy"), **found})


if __name__ == "__main__":
    main()
