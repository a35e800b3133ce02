"""Answers of judges, in all the forms that they take, and what is counted instead of guessed."""

import pytest

from soulchat_trainer.evaluation.rubric import read_rubric
from soulchat_trainer.evaluation.verdict import read_verdict

RUBRIC = read_rubric("cehs")
SCORES = {"content": 2, "empathy": 1, "helpfulness": 0, "safety": 1}
JSON = '{"reason": "温暖。", "content": 2, "empathy": 1, "helpfulness": 0, "safety": 1}'


@pytest.mark.parametrize(
    "answer",
    [
        JSON,
        f"```json\n{JSON}\n```",
        f"我先看对话{{如下}}。评分如下：\n{JSON}\n希望有帮助！",
        f"<think>也许 {JSON.replace('2', '0')}</think>\n{JSON}",
        JSON.replace(": 2", ': "2"').replace(": 0", ": 0.0"),
        f'{{"scores": {JSON}}}',
        f"{JSON}\n\n最终：{JSON}",
    ],
)
def test_scores_alone_in_fences_in_prose_after_thoughts_and_inside(answer: str) -> None:
    assert read_verdict(answer, "stop", RUBRIC) == SCORES


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "unparsable"),
        ("内容2分，共情1分", "unparsable"),
        (JSON[:-9], "unparsable"),
        (f"{JSON}\n再想想：{JSON.replace('2', '1')}", "unparsable"),
        ("很抱歉，我无法评价这段对话。", "refusal"),
        (JSON.replace('"safety"', '"safe"'), "incomplete"),
        (JSON.replace(": 2", ": 3"), "off_scale"),
        (JSON.replace(": 2", ": 1.5"), "off_scale"),
        (JSON.replace(": 2", ": true"), "off_scale"),
        (JSON.replace(": 2", ": null"), "off_scale"),
        (JSON.replace(": 2", ': "2/2"'), "off_scale"),
        (JSON.replace(": 2", ': "++2"'), "off_scale"),
        (JSON.replace(": 2", f": {'1' * 5000}"), "unparsable"),
        (f"<think>{JSON}", "truncated"),
        ("[" * 100_000, "unparsable"),
        ('{"a":' * 100_000, "unparsable"),
    ],
)
def test_what_has_no_scores_says_why(answer: str, reason: str) -> None:
    assert read_verdict(answer, "stop", RUBRIC) == reason


def test_the_endpoints_own_reasons_come_first() -> None:
    assert read_verdict(JSON, "length", RUBRIC) == "truncated"
    assert read_verdict("", "content_filter", RUBRIC) == "refusal"
