"""Corrected means: equal to ppi-python, right in simulated studies, never much wider than the ratings alone."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.judge import JUDGES, SAFETY, SCALES, SIZES, USELESS, coverage, draw_studies
from soulchat_trainer.evaluation.correction import (
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


def test_students_interval_equals_statsmodels() -> None:
    weightstats = pytest.importorskip("statsmodels.stats.weightstats")
    rated = np.array([0.0, 1, 2, 2, 1])
    found = ratings_alone(rated)
    assert (float(found.low), float(found.high)) == pytest.approx(weightstats.DescrStatsW(rated).tconfint_mean())


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
    assert prediction_powered_mean(rated, judged, unrated).mean == ratings_alone(rated).mean
    binary = np.array([0.0, 1, 1, 1])
    assert double_sampled_share(binary, np.ones(4), np.ones(9)).mean == pytest.approx(0.75)
    assert np.isnan(rogan_gladen(binary, np.ones(4), np.ones(9)).mean)


def test_where_all_judged_items_are_rated_the_ratings_stand() -> None:
    rated, judged, none = np.array([0.0, 1, 2, 2]), np.array([1.0, 1, 2, 2]), np.empty(0)
    assert prediction_powered_mean(rated, judged, none).mean == rated.mean()
    assert np.isnan(rogan_gladen(np.array([0.0, 1]), np.array([0.0, 1]), none).mean)
    assert double_sampled_share(np.array([0.0, 1]), np.array([0.0, 1]), none).mean == 0.5


def test_ratings_needed_bring_the_width() -> None:
    (rated, judged, unrated), _ = draw_studies("unbiased", [0.2, 0.4, 0.4], 50, 450)
    needed = [ratings_needed(rated[s], judged[s], unrated[s], width=0.2) for s in range(50)]
    at = int(np.median(needed))
    assert 50 < at < 200
    (more, judged_more, fewer), _ = draw_studies("unbiased", [0.2, 0.4, 0.4], at, 500 - at, seed=1)
    assert np.median(prediction_powered_mean(more, judged_more, fewer).width) == pytest.approx(0.2, rel=0.05)
    alone = ratings_needed(rated[0], np.ones(50), np.ones(450), width=0.05)  # more than are judged
    assert alone == int(np.ceil(rated[0].var(ddof=1) / (0.05 / 2 / 1.959963984540054) ** 2))
    with pytest.raises(ValueError, match="width is 0; allowed: above 0"):
        ratings_needed(rated[0], judged[0], unrated[0], width=0)


points = st.integers(0, 1)


@given(st.lists(st.tuples(points, points), min_size=3, max_size=12), st.lists(points, min_size=1, max_size=12))
@settings(deadline=None)
def test_a_scale_turned_round_turns_every_estimate_round(both: list[tuple[int, int]], others: list[int]) -> None:
    rated, judged = np.array(both, dtype=float).T
    unrated = np.array(others, dtype=float)
    for correct in (prediction_powered_mean, double_sampled_share, rogan_gladen):
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
    found = prediction_powered_mean(rated, judged, unrated)
    assert float(found.width) == pytest.approx(2 * 3.182446305284263 * np.sqrt(variance))  # t of 3 degrees of freedom


@given(st.lists(st.tuples(points, points), min_size=3, max_size=12), st.lists(points, max_size=12))
@settings(deadline=None)
def test_no_corrected_interval_is_wider_than_that_of_the_ratings_alone(
    both: list[tuple[int, int]], others: list[int]
) -> None:
    rated, judged = np.array(both, dtype=float).T
    unrated = np.array(others, dtype=float)
    for correct, alone in ((corrected_mean, ratings_alone), (corrected_share, share_alone)):
        found, people = correct(rated, judged, unrated), alone(rated)
        assert 0 <= found.width <= people.width
        if found.width == people.width:
            assert (float(found.mean), float(found.low)) == (float(people.mean), float(people.low))


def test_a_useless_judge_costs_nothing_and_a_good_one_narrows() -> None:
    for judge, most in ((USELESS, 1.0), ("unbiased", 0.8)):
        study, _ = draw_studies(judge, SCALES["0 to 2"], 50, 450, studies=200)
        assert np.median(corrected_mean(*study).width / ratings_alone(study[0]).width) <= most
        study, _ = draw_studies(judge, SAFETY["one of five unsafe"], 50, 450, studies=200)
        assert np.median(corrected_share(*study).width / share_alone(study[0]).width) <= most


@pytest.mark.slow
@pytest.mark.parametrize("judge", [*JUDGES, USELESS])
@pytest.mark.parametrize(("rated", "unrated"), SIZES)
@pytest.mark.parametrize("scale", SCALES)
def test_intervals_cover_the_truth(judge: str, rated: int, unrated: int, scale: str) -> None:
    study, truth = draw_studies(judge, SCALES[scale], rated, unrated, seed=rated + unrated)
    # Eight of ten ratings at the top: Student's interval of the ratings alone covers 93 % there.
    least = 0.89 if scale == "eight of ten at the top" else 0.93
    assert least <= coverage(corrected_mean(*study), truth) <= 0.97


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
