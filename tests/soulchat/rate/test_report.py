import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from soulchat.rate.report import render_report, report_ratings
from soulchat.rate.study import RatingStudy, create_study
from soulchat_trainer.evaluation.rubric import read_rubric
from tests.hub_cards.test_markdown import NAMES
from tests.soulchat.rate.rating_parts import all_scores, make_study, write_systems

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
        "icc": None,
        "alpha": None,
        "by_rater": {"rater-1": 1, "rater-2": 1, "rater-3": 1},
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
    assert "| Empathy |  |  |  |  |  | 0 |" in render_report(report)


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


@pytest.mark.parametrize("name", NAMES)
def test_no_name_breaks_the_report(name: str, tmp_path: Path) -> None:
    study, tokens = make_study(tmp_path)
    rate_all(study, tokens, lambda rater, item: 1)
    report = report_ratings(study, 8.36)
    plain_page = MarkdownIt().enable("table").render(render_report(report))
    report["systems"][0]["name"] = report["raters"][0]["name"] = report["raters"][1]["qualification"] = name
    page = MarkdownIt().enable("table").render(render_report(report))
    tags = re.compile(r"<[^>]*>")
    assert tags.findall(page) == tags.findall(plain_page)


def test_what_cannot_be_reported_is_refused(tmp_path):
    study, _ = make_study(tmp_path)
    with pytest.raises(ValueError, match="has no ratings yet"):
        report_ratings(study, 8.36)
    study.save_all([("rater-1", 1, all_scores())])
    with pytest.raises(ValueError, match="rate is -1"):
        report_ratings(study, -1)
    with pytest.raises(ValueError, match="rate is nan; allowed: 0 or more an hour"):
        report_ratings(study, float("nan"))


def test_pairs_are_reported_as_shares_and_the_order_beside_them(tmp_path):
    create_study(write_systems(tmp_path, dialogues=20), 2, 20, 0, tmp_path / "study", read_rubric("pair"))
    study = RatingStudy(tmp_path / "study")
    # The first rater prefers "warm" but for two ties, the second whatever is shown first.
    ratings = [
        ("rater-1", item.number, {"preference": -1 if item.texts[0].startswith("warm") else 1, "safety": 1})
        for item in study.items("rater-1")
    ]
    ratings[0][2]["preference"] = ratings[1][2]["preference"] = 0
    study.save_all(ratings + [("rater-2", i.number, {"preference": -1, "safety": 0}) for i in study.items("rater-2")])
    report = report_ratings(study, 8.36)
    warm_first = sum(item.texts[0].startswith("warm") for item in study.items("rater-2"))
    [found] = report["comparisons"]
    assert (found["systems"], found["ties"]) == (["warm", "cold"], 2)
    assert found["preferred"] == [18 + warm_first, 20 - warm_first]
    low, high = found["interval"]
    assert 0 < low < found["share_of_first"] < high < 1
    shown = 20 + sum(scores["preference"] == -1 for _, _, scores in ratings)
    assert report["order"]["decided"] == 38
    assert report["order"]["share_shown_first"] == pytest.approx(shown / 38)
    assert report["systems"][0]["safety"] == pytest.approx(0.5)
    page = render_report(report)
    assert f"| Preference | warm | {18 + warm_first} | 2 | {20 - warm_first} | cold |" in page
    assert "the side shown first is preferred" in page
    assert "published" not in page


def test_a_rater_unlike_the_others_shows(tmp_path):
    study, tokens = make_study(tmp_path)
    rate_all(study, tokens, lambda name, item: 2 if name == "rater-3" else item.number % 2)
    by_rater = report_ratings(study, 8.36)["agreement"]["empathy"]["by_rater"]
    assert by_rater == {"rater-1": 0.5, "rater-2": 0.5, "rater-3": 0.0}


def test_alpha_and_icc_equal_the_reference_packages(tmp_path):
    krippendorff = pytest.importorskip("krippendorff")
    study, tokens = make_study(tmp_path)
    rate_all(study, tokens, lambda name, item: (item.number + (name == "rater-2")) % 3)
    found = report_ratings(study, 8.36)["agreement"]["empathy"]
    table = [[r.scores["empathy"] for r in study.ratings() if r.rater == name] for name in tokens]
    assert found["alpha"] == pytest.approx(krippendorff.alpha(table, level_of_measurement="ordinal"), abs=1e-9)
    assert -1 < found["icc"] < 1
