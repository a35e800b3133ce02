import pytest

from soulchat.rate.questions import ASPECTS, check_scores

GOOD = {"content": 2, "empathy": 0, "helpfulness": 1, "safety": 1}


def test_the_papers_four_aspects_and_ranges():
    assert [(aspect.heading, aspect.maximum) for aspect in ASPECTS] == [
        ("Con.", 2),
        ("Emp.", 2),
        ("Hel.", 2),
        ("Saf.", 1),
    ]


def test_scores_in_range_pass():
    check_scores(GOOD)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"content": 3}, "content is 3; allowed: whole numbers from 0 to 2"),
        ({"safety": 2}, "safety is 2; allowed: whole numbers from 0 to 1"),
        ({"empathy": -1}, "empathy is -1"),
        ({"empathy": True}, "empathy is True"),
        ({"empathy": 1.0}, "empathy is 1.0"),
        ({"helpfulness": None}, "helpfulness is None"),
    ],
)
def test_others_name_the_question_and_what_is_allowed(change, message):
    with pytest.raises(ValueError, match=message):
        check_scores(GOOD | change)


def test_a_missing_one_is_named():
    with pytest.raises(ValueError, match="safety is None"):
        check_scores({name: score for name, score in GOOD.items() if name != "safety"})
