import numpy as np
import pytest

from soulchat_metrics import (
    agreement_interval,
    fleiss_kappa,
    intraclass_correlation,
    krippendorff_alpha,
    percent_agreement,
    quadratic_kappa,
)

pytest.importorskip("statsmodels", reason="the extra `app` is not installed")


def test_golden_cases(golden_fleiss):
    for case in golden_fleiss["cases"]:
        assert fleiss_kappa(case["counts"]) == pytest.approx(case["expected_kappa"], abs=1e-12), case["id"]
        assert percent_agreement(case["counts"]) == pytest.approx(case["p_bar"], abs=1e-12), case["id"]


def test_rows_with_different_numbers_of_raters_are_named(golden_fleiss):
    for case in golden_fleiss["invalid"]:
        with pytest.raises(ValueError, match=f"row 1 has {sum(case['counts'][1])} raters, but row 0 has 3"):
            fleiss_kappa(case["counts"])


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([], "shape"),
        ([3, 0], "shape"),
        ([[1, 0]], "1 raters; agreement needs at least 2"),
        ([[0, 0], [0, 0]], "0 raters"),
        ([[2.5, 0.5]], "whole numbers"),
        ([[4, -1]], "whole numbers"),
        ([["a", "b"]], "whole numbers"),
        ([[float("nan"), 3]], "whole numbers"),
        ([[float("inf"), 3], [float("inf"), 3]], "whole numbers"),
    ],
)
def test_what_is_no_table_of_counts_is_refused(counts, message):
    with pytest.raises(ValueError, match=message):
        fleiss_kappa(counts)


def test_unanimous_ratings_have_no_width(golden_fleiss):
    [counts] = [case["counts"] for case in golden_fleiss["cases"] if case["id"] == "safety-all-one-category"]
    assert agreement_interval(fleiss_kappa, counts) == (1.0, 1.0)


def test_interval_holds_the_value_and_narrows_with_more_subjects():
    counts = np.array([[0, 3], [3, 0], [1, 2], [3, 0], [2, 1], [0, 3]])
    low, high = agreement_interval(fleiss_kappa, counts, num_resamples=300)
    narrow_low, narrow_high = agreement_interval(fleiss_kappa, np.tile(counts, (20, 1)), num_resamples=300)
    assert low < fleiss_kappa(counts) < high
    assert low < narrow_low < fleiss_kappa(counts) < narrow_high < high
    again = [agreement_interval(fleiss_kappa, counts, num_resamples=99, seed=seed) for seed in (1, 1, 2)]
    assert again[0] == again[1] != again[2]


def draw_ratings(seed: int, items: int = 40, raters: int = 3, points: int = 4) -> np.ndarray:
    """Ratings that agree in part: [items, raters]."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(points, size=(items, 1))
    return np.where(generator.random((items, raters)) < 0.6, truth, generator.integers(points, size=(items, raters)))


def count(ratings: np.ndarray, points: int) -> np.ndarray:
    """How many raters gave each item each point; -1 stands for no rating."""
    return (ratings[:, :, None] == np.arange(points)).sum(axis=1)


@pytest.mark.parametrize("seed", range(5))
def test_weighted_kappa_equals_scikit_learn_and_statsmodels(seed):
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    from statsmodels.stats.inter_rater import cohens_kappa

    first, second, _ = draw_ratings(seed).T
    confusion = np.array([[((first == a) & (second == b)).sum() for b in range(4)] for a in range(4)])
    found = quadratic_kappa(confusion)
    assert found == pytest.approx(sklearn_metrics.cohen_kappa_score(first, second, weights="quadratic"), abs=1e-9)
    assert found == pytest.approx(cohens_kappa(confusion, wt="quadratic").kappa, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("level", ["ordinal", "nominal"])
def test_alpha_equals_the_krippendorff_package_with_ratings_missing(seed, level):
    krippendorff = pytest.importorskip("krippendorff")
    ratings = draw_ratings(seed)
    ratings[np.random.default_rng(seed).random(ratings.shape) < 0.3] = -1
    counts = count(ratings, 4)
    expected = krippendorff.alpha(value_counts=counts, value_domain=np.arange(4), level_of_measurement=level)
    assert krippendorff_alpha(counts, level) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_the_intraclass_correlation_has_the_mean_squares_of_statsmodels(seed):
    import pandas as pd
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    ratings = draw_ratings(seed)
    items, raters = ratings.shape
    rows = pd.DataFrame(
        [(item, rater, float(ratings[item, rater])) for item in range(items) for rater in range(raters)],
        columns=["item", "rater", "score"],
    )
    squares = anova_lm(ols("score ~ C(item) + C(rater)", rows).fit())["mean_sq"]
    of_items, of_raters, residual = squares["C(item)"], squares["C(rater)"], squares["Residual"]
    expected = (of_items - residual) / (of_items + (raters - 1) * residual + raters * (of_raters - residual) / items)
    assert intraclass_correlation(ratings) == pytest.approx(expected, abs=1e-9)


def test_the_intraclass_correlation_of_shrout_and_fleiss():
    """Their table 2, six targets and four judges: ICC(2,1) is .29."""
    ratings = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    assert intraclass_correlation(ratings) == pytest.approx(0.2898, abs=5e-5)


def test_full_agreement_is_one_and_equal_ratings_are_undefined():
    assert quadratic_kappa(np.diag([3, 0, 4])) == 1
    assert krippendorff_alpha([[2, 0], [0, 2]]) == 1
    assert intraclass_correlation([[0, 0], [1, 1], [2, 2]]) == 1
    assert np.isnan(quadratic_kappa([[0, 0], [0, 9]]))
    assert np.isnan(krippendorff_alpha([[0, 3], [0, 2]]))
    assert np.isnan(krippendorff_alpha([[1, 0], [0, 1]]))  # nobody rated what another did
    assert np.isnan(intraclass_correlation([[1, 1], [1, 1]]))
    assert np.isnan(intraclass_correlation([[1, 2]]))
    assert np.isnan(intraclass_correlation([[0, 2], [2, 0]]))


def test_a_rater_who_always_gives_the_same_point_agrees_as_chance_would():
    assert quadratic_kappa([[0, 5], [0, 5]]) == 0
