import numpy as np
import pytest

from soulchat_metrics import agreement_interval, fleiss_kappa, percent_agreement

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
