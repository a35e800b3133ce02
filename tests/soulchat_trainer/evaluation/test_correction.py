"""Corrected means: equal to ppi-python, right in simulated studies, never much wider than the ratings alone."""

import json
import subprocess
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.judge import JUDGES, SAFETY, SCALES, SIZES, USELESS, coverage, draw_studies, of_scale
from soulchat_trainer.evaluation.correction import (
    _skewed,
    corrected_mean,
    corrected_share,
    double_sampled_share,
    power_tuned,
    power_tuning,
    prediction_powered_mean,
    ratings_alone,
    ratings_needed,
    rogan_gladen,
    share_alone,
    wilson_interval,
)
from tests.paths import FIXTURES
from tests.soulchat.harness.tool_environment import tool_environment

pytest.importorskip("scipy", reason="the extra `train` is not installed")


def check_ppi(studies: list[dict], answers: list[dict]) -> None:
    """Mean, tuning and variance are ppi-python's; its interval is the normal one."""
    for study, expected in zip(studies, answers, strict=True):
        arrays = (np.array(study[name], dtype=float) for name in ("rated", "judged", "unrated"))
        mean, of_ratings, of_judge = power_tuned(*arrays)
        half = 1.959963984540054 * np.sqrt(of_ratings + of_judge)
        found = {"mean": mean, "low": mean - half, "high": mean + half}
        assert found == pytest.approx(expected, abs=1e-9)


def test_mean_tuning_and_variance_equal_what_ppi_python_said() -> None:
    golden = json.loads((FIXTURES / "judge/ppi.json").read_bytes())
    assert len(golden["studies"]) == 15
    check_ppi(golden["studies"], golden["answers"])


@pytest.mark.slow
def test_mean_tuning_and_variance_equal_ppi_python_itself(tmp_path: Path) -> None:
    """In an environment of its own: ppi-python brings a package `tests`, which would hide ours."""
    python = tool_environment("ppi", tmp_path) / "python"
    studies = [study for judge in (*JUDGES, USELESS) for study in list_studies(judge, 20)]
    command = [python, FIXTURES / "judge/reference_ppi.py"]
    done = subprocess.run(command, input=json.dumps(studies), capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    check_ppi(studies, json.loads(done.stdout))


def list_studies(judge: str, number: int) -> list[dict]:
    study, _ = draw_studies(judge, [0.2, 0.4, 0.4], 20, 60)
    return [
        dict(zip(("rated", "judged", "unrated"), (part[row].astype(int).tolist() for part in study), strict=True))
        for row in range(number)
    ]


def test_wilsons_interval_equals_statsmodels() -> None:
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    for successes, trials in [(0, 5), (3, 7), (50, 50)]:
        found = wilson_interval(np.array(successes), np.array(trials))
        low, high = proportion.proportion_confint(successes, trials, method="wilson")
        assert (float(found.low), float(found.high)) == pytest.approx((low, high), abs=1e-9)
    assert np.isnan(wilson_interval(np.array(0), np.array(0)).mean)


@pytest.mark.parametrize(("rated", "moved"), [([1.0, 2, 2, 3], 0.0), ([0.0, 1, 2, 2, 1], -0.157330)])
def test_the_interval_of_ratings_is_that_of_statsmodels_moved_by_their_skewness(
    rated: list[float], moved: float
) -> None:
    """Of 0 1 2 2 1: skewness -0.3436 / sqrt(5); t of 4 degrees 2.776445; standard error 0.374166."""
    weightstats = pytest.importorskip("statsmodels.stats.weightstats")
    found = ratings_alone(np.array(rated), (-9, 9))
    low, high = weightstats.DescrStatsW(rated).tconfint_mean()
    assert (float(found.low), float(found.high)) == pytest.approx((low + moved, high + moved), abs=1e-5)


def test_one_rating_below_the_top_gives_an_interval_near_wilsons_of_a_share() -> None:
    found, share = ratings_alone(np.array([1.0] + [2] * 49), (0, 2)), share_alone(np.array([0.0] + [1] * 49))
    assert (float(found.low), float(found.high)) == pytest.approx((1 + share.low, 1 + share.high), abs=0.02)


def test_equal_ratings_leave_room_for_others() -> None:
    """z^2 / (50 + z^2) = 0.071348 may be at 0 of a scale from 0 to 2."""
    top, middle = ratings_alone(np.full(50, 2.0), (0, 2)), ratings_alone(np.full(50, 1.0), (0, 2))
    assert (float(top.mean), float(top.low), float(top.high)) == pytest.approx((2, 1.857304, 2), abs=1e-6)
    assert (float(middle.low), float(middle.high)) == pytest.approx((0.928652, 1.071348), abs=1e-6)
    judged, unrated = np.array([1.0, 2] * 25), np.array([1.0, 2, 2] * 50)
    tuned = prediction_powered_mean(np.full(50, 2.0), judged, unrated, (0, 2))
    assert (float(tuned.low), float(tuned.high)) == (0, 2)
    assert corrected_mean(np.full(50, 2.0), judged, unrated, (0, 2)) == top
    needed = ratings_needed(np.full(50, 2.0), judged, unrated, 0.1, (0, 2))
    assert needed == 73
    assert ratings_alone(np.full(73, 2.0), (0, 2)).width < 0.1 < ratings_alone(np.full(72, 2.0), (0, 2)).width
    assert ratings_needed(np.full(50, 2.0), judged, unrated, 1.9, (0, 2)) == 50


@given(
    st.lists(st.integers(0, 4), min_size=3, max_size=60),
    st.sampled_from([0.5, 0.95, 0.999]),
    st.integers(0, 2**32 - 1),
)
def test_an_interval_holds_its_mean_and_ends_with_the_scale(points: list[int], confidence: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    rated = np.array(points, dtype=float)
    judged, unrated = generator.integers(0, 5, len(points)).astype(float), generator.integers(0, 5, 40).astype(float)
    for found in (
        ratings_alone(rated, (0, 4), confidence),
        prediction_powered_mean(rated, judged, unrated, (0, 4), confidence),
    ):
        assert 0 <= found.low <= min(float(found.mean) + 1e-9, 4)
        assert max(float(found.mean) - 1e-9, 0) <= found.high <= 4


@given(st.floats(-0.98, 0.98), st.floats(-4, 4))
def test_halls_transformation_is_turned_back(skewness: float, quantile: float) -> None:
    x = float(_skewed(quantile, np.array(skewness)))
    assert x + skewness * x**2 / 3 + skewness**2 * x**3 / 27 + skewness / 6 == pytest.approx(quantile, abs=1e-7)


def test_tiny_studies_by_hand() -> None:
    rated, judged, unrated = np.array([0.0, 1, 2]), np.array([1.0, 2, 3]), np.array([1.0, 2, 3])
    # cov = 2/3, var of all six = 0.8, 1 + n/N = 2.
    assert power_tuning(rated, judged, unrated) == pytest.approx((2 / 3) / (2 * 0.8))
    # Of 10 rated, 5 are safe and found so; of 5 unsafe, 4 are found. The judge calls half of the others safe.
    rated = np.array([1.0] * 5 + [0] * 5)
    judged = np.array([1.0] * 5 + [1] + [0] * 4)
    unrated = np.array([1.0, 0] * 10)
    assert rogan_gladen(rated, judged, unrated).mean == pytest.approx((0.5 + 0.8 - 1) / 0.8)
    # Of the judge's ones 5 of 6 are ones, of its zeros none; it gives ones to 16 of 30.
    assert double_sampled_share(rated, judged, unrated).mean == pytest.approx(16 / 30 * 5 / 6)


def test_a_judge_that_always_says_the_same_leaves_the_ratings_alone() -> None:
    rated, judged, unrated = np.array([0.0, 1, 2, 2]), np.full(4, 2.0), np.full(9, 2.0)
    assert prediction_powered_mean(rated, judged, unrated, (0, 2)).mean == ratings_alone(rated, (0, 2)).mean
    binary = np.array([0.0, 1, 1, 1])
    assert double_sampled_share(binary, np.ones(4), np.ones(9)).mean == pytest.approx(0.75)
    assert np.isnan(rogan_gladen(binary, np.ones(4), np.ones(9)).mean)


def test_where_all_judged_items_are_rated_the_ratings_stand() -> None:
    rated, judged, none = np.array([0.0, 1, 2, 2]), np.array([1.0, 1, 2, 2]), np.empty(0)
    assert prediction_powered_mean(rated, judged, none, (0, 2)).mean == rated.mean()
    assert np.isnan(rogan_gladen(np.array([0.0, 1]), np.array([0.0, 1]), none).mean)
    assert double_sampled_share(np.array([0.0, 1]), np.array([0.0, 1]), none).mean == 0.5


def test_ratings_needed_bring_the_width() -> None:
    (rated, judged, unrated), _ = draw_studies("unbiased", [0.2, 0.4, 0.4], 50, 450)
    needed = [ratings_needed(rated[s], judged[s], unrated[s], 0.2, (0, 2)) for s in range(50)]
    at = int(np.median(needed))
    assert 50 < at < 200
    (more, judged_more, fewer), _ = draw_studies("unbiased", [0.2, 0.4, 0.4], at, 500 - at, seed=1)
    assert np.median(prediction_powered_mean(more, judged_more, fewer, (0, 2)).width) == pytest.approx(0.2, rel=0.05)
    alone = ratings_needed(rated[0], np.ones(50), np.ones(450), 0.05, (0, 2))  # more than are judged
    assert alone == int(np.ceil(rated[0].var(ddof=1) / (0.05 / 2 / 1.959963984540054) ** 2))
    with pytest.raises(ValueError, match="width is 0; allowed: above 0"):
        ratings_needed(rated[0], judged[0], unrated[0], 0, (0, 2))


points = st.integers(0, 1)


@given(st.lists(st.tuples(points, points), min_size=3, max_size=12), st.lists(points, min_size=1, max_size=12))
def test_a_scale_turned_round_turns_every_estimate_round(both: list[tuple[int, int]], others: list[int]) -> None:
    rated, judged = np.array(both, dtype=float).T
    unrated = np.array(others, dtype=float)
    for correct in (partial(prediction_powered_mean, scale=(0, 1)), double_sampled_share, rogan_gladen):
        found, turned = correct(rated, judged, unrated), correct(1 - rated, 1 - judged, 1 - unrated)
        expected = [1 - float(found.mean), 1 - float(found.high), 1 - float(found.low)]
        bounds = [float(turned.mean), float(turned.low), float(turned.high)]
        assert bounds == pytest.approx(expected, abs=1e-9, nan_ok=True)
    share = double_sampled_share(rated, judged, unrated)
    assert -1e-9 <= share.low <= share.mean <= share.high <= 1 + 1e-9


def test_the_variance_is_that_of_leave_one_out_residuals() -> None:
    """HC3 by its definition: each residual from the mean and the slope of the others, at the judge's own tuning."""
    rated, judged, unrated = np.array([0.0, 1, 2, 2, 1]), np.array([0.0, 2, 2, 2, 1]), np.array([1.0, 2, 2, 0])
    trust = power_tuning(rated, judged, unrated)
    rest = rated - trust * judged
    rest -= rest.mean()
    hat = np.column_stack([np.ones(5), judged])
    leverage = np.diag(hat @ np.linalg.inv(hat.T @ hat) @ hat.T)
    variance = ((rest / (1 - leverage)) ** 2).sum() / 25 + trust**2 * unrated.var() / 4
    skewness = np.array(((rated - 1.2) ** 3).mean() / rated.std() ** 3 / np.sqrt(5))
    quantile = 3.182446305284263  # t of 3 degrees of freedom
    found = prediction_powered_mean(rated, judged, unrated, (-9, 9))
    for bound, end in ((found.low, quantile), (found.high, -quantile)):
        assert float(bound) == pytest.approx(found.mean - _skewed(end, skewness) * np.sqrt(variance))


@given(st.lists(st.tuples(points, points), min_size=3, max_size=12), st.lists(points, max_size=12))
def test_no_corrected_interval_is_wider_than_that_of_the_ratings_alone(
    both: list[tuple[int, int]], others: list[int]
) -> None:
    rated, judged = np.array(both, dtype=float).T
    unrated = np.array(others, dtype=float)
    for correct, alone in (of_scale([0.5, 0.5]), (corrected_share, share_alone)):
        found, people = correct(rated, judged, unrated), alone(rated)
        assert 0 <= found.width <= people.width
        if found.width == people.width:
            assert (float(found.mean), float(found.low)) == (float(people.mean), float(people.low))


def test_a_useless_judge_costs_nothing_and_a_good_one_narrows() -> None:
    for judge, most in ((USELESS, 1.0), ("unbiased", 0.8)):
        study, _ = draw_studies(judge, SCALES["0 to 2"], 50, 450, studies=200)
        assert np.median(corrected_mean(*study, (0, 2)).width / ratings_alone(study[0], (0, 2)).width) <= most
        study, _ = draw_studies(judge, SAFETY["one of five unsafe"], 50, 450, studies=200)
        assert np.median(corrected_share(*study).width / share_alone(study[0]).width) <= most


@pytest.mark.slow
@pytest.mark.parametrize("judge", [*JUDGES, USELESS])
@pytest.mark.parametrize(("rated", "unrated"), SIZES)
@pytest.mark.parametrize("scale", SCALES)
def test_intervals_cover_the_truth(judge: str, rated: int, unrated: int, scale: str) -> None:
    study, truth = draw_studies(judge, SCALES[scale], rated, unrated, seed=rated + unrated)
    correct, alone = of_scale(SCALES[scale])
    assert 0.93 <= coverage(correct(*study), truth) <= 0.97
    assert 0.93 <= coverage(alone(study[0]), truth) <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("judge", [*JUDGES, USELESS])
@pytest.mark.parametrize(("rated", "unrated"), SIZES)
@pytest.mark.parametrize("scale", SAFETY)
def test_intervals_of_safety_cover_the_truth(judge: str, rated: int, unrated: int, scale: str) -> None:
    study, truth = draw_studies(judge, SAFETY[scale], rated, unrated, seed=rated + unrated)
    # Where the unsafe are few, the interval may be too wide, as Wilson's is, never too narrow.
    most = 1.0 if scale == "one of twenty unsafe" else 0.97
    assert 0.93 <= coverage(corrected_share(*study), truth) <= most
    corrected = rogan_gladen(*study)
    if judge != USELESS:
        assert np.mean(np.isnan(corrected.mean) | (corrected.low <= truth) & (truth <= corrected.high)) >= 0.93
