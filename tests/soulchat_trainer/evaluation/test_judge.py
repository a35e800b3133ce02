"""Judging over loopback, with every fault that endpoints have, and by a model of transformers here."""

import re
from pathlib import Path

import orjson
import pytest

from hub_cards.predictions import Prediction, write_predictions
from soulchat_trainer.evaluation.judge import JudgeOptions, estimate, judge
from soulchatcorpus.schema import Message
from tests.soulchatcorpus.making.conftest import endpoint  # noqa: F401

GOOD = '{"reason": "好", "content": 2, "empathy": 1, "helpfulness": 1, "safety": 1}'
BETTER = '{"reason": "好", "preference": -1, "safety": 1}'


def write_system(folder: Path, items: int = 6) -> Path:
    """Predictions, each with its number where the stub endpoint looks for it."""
    folder.mkdir(parents=True)
    rows = [
        Prediction(
            id=f"d{number}-0",
            messages=[Message(role="user", content=f"记录{number}：电话13812345678")],
            reference="r",
            prediction=f"{folder.name}的回复",
        )
        for number in range(items)
    ]
    write_predictions(folder / "predictions.jsonl", rows)
    return folder


def read_rows(out: Path) -> list[dict]:
    return [orjson.loads(line) for line in (out / "judged.jsonl").read_bytes().splitlines()]


@pytest.fixture
def options(endpoint):  # noqa: F811
    def make(**more) -> JudgeOptions:
        return JudgeOptions(**{"base_url": endpoint.base_url, "model": "stub", **more})

    return make


def test_every_reply_gets_scores_once_and_no_system_is_named(endpoint, options, tmp_path):  # noqa: F811
    endpoint.answer = lambda content, model: GOOD
    sources = [write_system(tmp_path / "secret-a"), write_system(tmp_path / "secret-b")]
    sources[1].joinpath("predictions.jsonl").write_text(
        sources[1].joinpath("predictions.jsonl").read_text().replace("secret-b的回复", "别的回复")
    )
    report = judge(sources, tmp_path / "out", options())
    rows = read_rows(tmp_path / "out")
    assert len(rows) == report["items"] == report["asked"] == 12
    assert report["outcomes"] == {"scored": 12}
    assert rows[0]["scores"] == {"content": 2, "empathy": 1, "helpfulness": 1, "safety": 1}
    assert (rows[0]["id"], rows[0]["talk"], rows[0]["systems"]) == ("d0-0", "d0", ["secret-a"])
    assert report["note"] == "not validated on people"
    judge(sources, tmp_path / "out", options())
    assert sum(endpoint.asked.values()) == 12
    assert not any("secret-b" in content or "13812345678" in content for content in endpoint.contents)
    judge(sources, tmp_path / "out", options(model="other"))  # another judge's scores are its own
    assert sum(endpoint.asked.values()) == 24


def test_what_has_no_scores_is_counted_and_asked_again_on_demand(endpoint, options, tmp_path):  # noqa: F811
    answers = {"0": "很抱歉，我无法评价。", "1": GOOD.replace("2", "7"), "2": "不错", "3": GOOD.replace("safety", "s")}
    endpoint.answer = lambda content, model: answers.get(re.search(r"记录(\d)", content)[1], f"评分：\n{GOOD}")
    source = [write_system(tmp_path / "warm")]
    report = judge(source, tmp_path / "out", options())
    assert report["outcomes"] == {"scored": 2, "refusal": 1, "off_scale": 1, "unparsable": 1, "incomplete": 1}
    assert [row["scores"] is None for row in read_rows(tmp_path / "out")] == [True] * 4 + [False] * 2
    answers.clear()
    assert judge(source, tmp_path / "out", options())["outcomes"]["scored"] == 2
    assert judge(source, tmp_path / "out", options(retry="rejected"))["outcomes"] == {"scored": 6}


def test_pairs_are_judged_in_both_orders_and_a_judge_that_follows_them_is_found(endpoint, options, tmp_path):  # noqa: F811
    def answer(content: str, model: str) -> str:
        """The first is always better, but for records 0 and 1, where it is the one that is warm."""
        first, second = content.index("warm的"), content.index("cold的")
        fair = re.search(r"记录[01]：", content)
        return BETTER.replace("-1", "1") if fair and second < first else BETTER

    endpoint.answer = answer
    sources = [write_system(tmp_path / "warm"), write_system(tmp_path / "cold")]
    report = judge(sources, tmp_path / "out", options(rubric="pair"))
    assert report["orders"]["preference"]["pairs"] == 6
    assert report["orders"]["preference"]["follows_order"] == pytest.approx(4 / 6)
    assert report["orders"]["preference"]["decided_alike"] == pytest.approx(2 / 6)
    rows = read_rows(tmp_path / "out")
    assert [row["order"] for row in rows[:4]] == [0, 1, 0, 1]
    assert [row["scores"]["preference"] for row in rows[:2]] == [-1, -1]  # warm, in either order
    assert [row["scores"]["preference"] for row in rows[-2:]] == [-1, 1]


def test_repeats_tell_how_far_the_judge_agrees_with_itself(endpoint, options, tmp_path):  # noqa: F811
    def answer(content: str, model: str) -> str:
        again = re.search(r"记录(\d)", content)[1]
        return GOOD if again in "012345" and endpoint.asked[again] % 2 else GOOD.replace("2", "0")

    endpoint.answer = answer
    report = judge([write_system(tmp_path / "warm")], tmp_path / "out", options(repeats=2, concurrency=1))
    assert report["repeats"]["content"] == {"items": 6, "same": 0, "alpha": pytest.approx(-10 / 12, abs=0.01)}
    assert report["repeats"]["empathy"] == {"items": 6, "same": 1, "alpha": None}
    assert report["asked"] == 12


def test_faults_end_in_scores_and_a_killed_run_pays_nothing_twice(endpoint, options, tmp_path):  # noqa: F811
    class Killed(BaseException):
        pass

    def kill(progress) -> None:
        if progress.done == 11:
            raise Killed

    endpoint.answer = lambda content, model: GOOD
    endpoint.faults = {"http_429": 15, "http_500": 10, "connection": 10, "malformed": 5, "refusal": 10}
    source = [write_system(tmp_path / "warm", 40)]
    with pytest.raises(Killed):
        judge(source, tmp_path / "out", options(concurrency=4), kill)
    before = len(read_rows(tmp_path / "out"))
    assert 11 <= before < 40
    report = judge(source, tmp_path / "out", options())
    assert report["open"] == 0
    assert set(report["outcomes"]) <= {"scored", "refusal", "malformed"}
    assert report["outcomes"]["scored"] >= 30
    # Those on their way at the kill may have been answered and not heard.
    assert sum(count - 1 for count in endpoint.answered.values()) <= 4


def test_the_schema_is_asked_for_and_left_out_where_the_endpoint_has_none(endpoint, options, tmp_path):  # noqa: F811
    endpoint.answer = lambda content, model: GOOD
    endpoint.refuses = {"response_format"}
    source = [write_system(tmp_path / "warm")]
    report = judge(source, tmp_path / "out", options(concurrency=1, temperature=0.5))
    assert report["outcomes"] == {"scored": 6}
    formats = [body.get("response_format") for body in endpoint.requests]
    assert [bool(form) for form in formats] == [True] + [False] * 6  # told once, remembered
    assert formats[0]["json_schema"]["schema"]["properties"]["safety"] == {"type": "integer", "enum": [0, 1]}
    assert {body["temperature"] for body in endpoint.requests} == {0.5}


def test_the_cost_is_told_before_and_bounds_the_run(endpoint, options, tmp_path):  # noqa: F811
    endpoint.answer = lambda content, model: GOOD
    source = [write_system(tmp_path / "warm")]
    given = {"price": ["stub=1000,1000"], "concurrency": 1}
    found = estimate(source, options(**given))
    assert (found.records, found.completion_tokens) == (6, 720)
    assert found.cost == pytest.approx((found.prompt_tokens + 720) / 1000)
    report = judge(source, tmp_path / "out", options(**given, max_cost=1.5, max_tokens=200))
    assert 0 < report["cost"] <= 1.5
    assert report["open"] > 0


def test_a_model_here_answers_in_the_same_ledger(model_folder, tmp_path):
    source = [write_system(tmp_path / "warm", 3)]
    options = JudgeOptions(model=str(model_folder), max_tokens=8, device="cpu", concurrency=2)
    report = judge(source, tmp_path / "out", options)
    assert (report["asked"], report["open"], report["requests"]) == (3, 0, 3)
    assert set(report["outcomes"]) <= {"truncated", "unparsable"}  # it has learned nothing
    assert judge(source, tmp_path / "out", options)["requests"] == 3


def test_without_a_yes_nothing_leaves_the_machine(tmp_path):
    options = JudgeOptions(model="m", base_url="https://api.example.com/v1")
    with pytest.raises(ValueError, match="yes is False"):
        judge([write_system(tmp_path / "warm")], tmp_path / "out", options)
    assert not (tmp_path / "out").exists()
