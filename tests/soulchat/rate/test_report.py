import pytest

from soulchat.rate.report import render_report, report_ratings
from tests.soulchat.rate.rating_parts import all_scores, make_study

pytest.importorskip("statsmodels", reason="the extra `app` is not installed")


def rate_all(study, tokens, empathy):
    """Every rater rates every item; `empathy(rater, item)` decides one score. An item takes rater N 60 N seconds."""
    for number, (name, token) in enumerate(tokens.items(), start=1):
        _, window = study.open_window(token, f"qualification {number}")
        for item in study.items(name):
            scores = all_scores(empathy=empathy(name, item), content=2 if "warm" in item.texts[0] else 1)
            study.save_from_window(name, window, item.number, scores, 60.0 * number)


def test_means_agreement_time_and_pay(tmp_path):
    study, tokens = make_study(tmp_path)
    rate_all(study, tokens, lambda name, item: item.number % 3)
    report = report_ratings(study, rate=10.0)
    warm, cold = report["systems"]
    assert (warm["name"], warm["ratings"], warm["content"], warm["helpfulness"], warm["safety"]) == (
        "warm",
        9,
        2,
        0,
        1,
    )
    assert (cold["name"], cold["content"]) == ("cold", 1)
    assert report["agreement"]["empathy"]["fleiss_kappa"] == pytest.approx(1)
    assert report["agreement"]["safety"] == {
        "items": 6,
        "fleiss_kappa": 1.0,
        "interval": [1.0, 1.0],
        "percent_agreement": 1.0,
    }
    assert [rater["median_seconds"] for rater in report["raters"]] == [60, 120, 180]
    assert report["median_seconds"] == 120
    assert report["raters"][2]["pay"] == pytest.approx(6 * 180 * 10 / 3600)
    assert all(rater["finished"] for rater in report["raters"])
    assert report["raters"][0]["qualification"] == "qualification 1"


def test_kappa_by_hand(tmp_path):
    study, tokens = make_study(tmp_path)
    # Items 1 to 3: all raters 0; items 4 to 6: rater-1 says 0, the others 1.
    rate_all(study, tokens, lambda name, item: int(item.number > 3 and name != "rater-1"))
    # p_bar = (3 x 1 + 3 x 1/3) / 6 = 2/3; p_e = (12/18)^2 + (6/18)^2 = 5/9
    agreement = report_ratings(study, 1.0)["agreement"]["empathy"]
    assert agreement["fleiss_kappa"] == pytest.approx((2 / 3 - 5 / 9) / (4 / 9))
    assert agreement["percent_agreement"] == pytest.approx(2 / 3)
    low, high = agreement["interval"]
    assert low <= agreement["fleiss_kappa"] <= high


def test_unfinished_raters_are_told_and_agreement_is_of_shared_items(tmp_path):
    study, tokens = make_study(tmp_path)
    study.save_all([(name, item, all_scores()) for name in tokens for item in (1, 2)] + [("rater-1", 3, all_scores())])
    report = report_ratings(study, 8.36)
    assert report["agreement"]["content"]["items"] == 2
    assert [rater["rated"] for rater in report["raters"]] == [3, 2, 2]
    assert not any(rater["finished"] for rater in report["raters"])
    assert report["median_seconds"] is None
    page = render_report(report)
    assert "| rater-1 | not stated | 3 of 6 |" in page


def test_no_shared_item_is_no_kappa(tmp_path):
    study, _ = make_study(tmp_path)
    study.save_all([("rater-1", 1, all_scores())])
    report = report_ratings(study, 8.36)
    assert report["agreement"]["content"]["fleiss_kappa"] is None
    assert [system["ratings"] for system in report["systems"]].count(0) == 1
    assert "| Empathy |  |  |  | 0 |" in render_report(report)


def test_table_1_has_both_halves_and_the_papers_rows_apart(tmp_path):
    study, tokens = make_study(tmp_path)
    rate_all(study, tokens, lambda name, item: 1)
    page = render_report(report_ratings(study, 8.36))
    bleu_1 = study.automatic_scores()["warm"]["bleu-1"]
    [row] = [line for line in page.splitlines() if line.startswith("| warm ")]
    assert row.startswith(f"| warm | {bleu_1:.2f} |")
    assert row.endswith("| 2.00 | 1.00 | 0.00 | 1.00 | 9 |")
    assert "published: the authors' own test samples, not comparable" in page
    assert page.index("| warm ") < page.index("published:")


def test_what_cannot_be_reported_is_refused(tmp_path):
    study, _ = make_study(tmp_path)
    with pytest.raises(ValueError, match="has no ratings yet"):
        report_ratings(study, 8.36)
    study.save_all([("rater-1", 1, all_scores())])
    with pytest.raises(ValueError, match="rate is -1"):
        report_ratings(study, -1)
    with pytest.raises(ValueError, match="rate is nan; allowed: 0 or more an hour"):
        report_ratings(study, float("nan"))
