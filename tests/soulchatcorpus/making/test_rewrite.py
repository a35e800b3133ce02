"""Rewriting through the real client against a local endpoint: outcomes, the ledger, costs, keys, faults and kills."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest

from soulchatcorpus.making.endpoint import EndpointError
from soulchatcorpus.making.options import RewriteOptions
from soulchatcorpus.making.prompts import load_prompt
from soulchatcorpus.making.rewrite import estimate, rewrite
from tests.soulchatcorpus.making.endpoint_stub import FAULTS, StubEndpoint, dialogue


def options_for(endpoint, models: str = "stub", prices: tuple[str, ...] = (), **more) -> RewriteOptions:
    values = {"timeout": 5.0, "concurrency": 8} | more
    return RewriteOptions(base_url=endpoint.base_url, model=models, price=list(prices), **values)


def read_lines(path: Path) -> list[dict]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_accepted_conversations_keep_id_topic_and_origin(endpoint, make_questions, tmp_path):
    report = rewrite(make_questions(3, licence="CC0"), tmp_path / "out", options_for(endpoint))
    conversations = read_lines(tmp_path / "out" / "conversations.jsonl")
    assert [c["id"] for c in conversations] == ["0", "1", "2"]
    assert conversations[0]["topic"] == "情绪"
    assert conversations[0]["messages"][0] == {"role": "user", "content": "我最近总是失眠，这是第1次提起。"}
    assert conversations[0]["provenance"] == {
        "source_id": "0",
        "prompt_version": load_prompt("soulchat").version,
        "model": "stub",
        "rounds": 8,
        "source": {"licence": "CC0"},
    }
    assert (report["accepted"], report["rejected"], report["open"], report["requests"]) == (3, 0, 0, 3)
    assert (tmp_path / "out" / "rejected.jsonl").read_bytes() == b""


def test_the_prompt_is_sent_with_question_and_answer(endpoint, make_questions, tmp_path):
    rewrite(make_questions(1), tmp_path / "out", options_for(endpoint))
    assert endpoint.contents[0].startswith("请扮演一个心理咨询领域的文本改写员")
    assert "用户：记录0：我最近总是失眠，怎么办？\n心理咨询师：先别急，慢慢来。\n\n请逐步分析" in endpoint.contents[0]


@pytest.mark.parametrize(("thinking", "accepted"), [("off", 2), ("keep", 0)])
def test_a_dialogue_beside_the_content_is_a_reply_only_of_a_model_that_was_not_to_think(
    thinking, accepted, endpoint, make_questions, tmp_path
):
    endpoint.aside = dialogue()
    report = rewrite(make_questions(2), tmp_path / "out", options_for(endpoint, thinking=thinking))
    assert (report["accepted"], report["rejected"], report["requests"]) == (accepted, 2 - accepted, 2)
    asked = endpoint.requests[0]["chat_template_kwargs"]["enable_thinking"]
    assert asked == (thinking == "keep")


def test_an_endpoint_that_knows_no_such_field_is_asked_without_it_from_then_on(endpoint, make_questions, tmp_path):
    endpoint.refuses = {"chat_template_kwargs"}
    report = rewrite(make_questions(5), tmp_path / "out", options_for(endpoint, concurrency=1))
    assert report["accepted"] == 5
    assert ["chat_template_kwargs" in body for body in endpoint.requests] == [True, *[False] * 5]


def test_a_second_run_asks_nothing(endpoint, make_questions, tmp_path):
    source = make_questions(5)
    rewrite(source, tmp_path / "out", options_for(endpoint))
    before = (tmp_path / "out" / "conversations.jsonl").read_bytes()
    report = rewrite(source, tmp_path / "out", options_for(endpoint))
    assert sum(endpoint.asked.values()) == 5
    assert report["accepted"] == 5
    assert (tmp_path / "out" / "conversations.jsonl").read_bytes() == before


def test_a_changed_question_is_asked_again(endpoint, make_questions, tmp_path):
    rewrite(make_questions(2), tmp_path / "out", options_for(endpoint))
    source = make_questions(2)
    source.write_text(source.read_text().replace("记录1：我", "记录1：其实我"))
    rewrite(source, tmp_path / "out", options_for(endpoint))
    assert endpoint.asked == {"0": 1, "1": 2}


def test_rejected_are_named_and_can_be_sent_again(endpoint, make_questions, tmp_path):
    endpoint.answer = lambda content, model: dialogue(2) if "记录1" in content else dialogue()
    source, out = make_questions(3), tmp_path / "out"
    report = rewrite(source, out, options_for(endpoint))
    assert report["reasons"] == {"too_few_rounds": 1}
    assert [(r["id"], r["reason"]) for r in read_lines(out / "rejected.jsonl")] == [("1", "too_few_rounds")]
    endpoint.answer = lambda content, model: dialogue()
    report = rewrite(source, out, options_for(endpoint, retry="rejected"))
    assert (report["accepted"], report["rejected"]) == (3, 0)
    assert endpoint.asked == {"0": 1, "1": 2, "2": 1}


def test_fewer_rounds_allowed_later_costs_no_request(endpoint, make_questions, tmp_path):
    endpoint.answer = lambda content, model: dialogue(2)
    source, out = make_questions(3), tmp_path / "out"
    assert rewrite(source, out, options_for(endpoint))["rejected"] == 3
    assert rewrite(source, out, options_for(endpoint, min_rounds=2))["accepted"] == 3
    assert rewrite(source, out, options_for(endpoint))["rejected"] == 3
    assert sum(endpoint.asked.values()) == 3


def test_truncated_reply(endpoint, make_questions, tmp_path):
    endpoint.finish_reason = "length"
    assert rewrite(make_questions(1), tmp_path / "out", options_for(endpoint))["reasons"] == {"truncated": 1}


def test_models_by_weight_and_the_same_again(endpoint, make_questions, tmp_path):
    source = make_questions(400)
    rewrite(source, tmp_path / "one", options_for(endpoint, "a=3,b=1"))
    share = endpoint.models["b"] / 400
    assert 0.18 < share < 0.32
    rewrite(source, tmp_path / "two", options_for(endpoint, "a=3,b=1"))
    one, two = (read_lines(tmp_path / name / "conversations.jsonl") for name in ("one", "two"))
    assert [c["provenance"]["model"] for c in one] == [c["provenance"]["model"] for c in two]


def test_private_details_are_masked_unless_told(endpoint, tmp_path):
    source = tmp_path / "q.jsonl"
    record = {"id": "a", "question": "记录1，我的电话是13812345678", "answer": "写信到 who@example.com 吧"}
    source.write_bytes(orjson.dumps(record))
    rewrite(source, tmp_path / "masked", options_for(endpoint))
    assert "13812345678" not in endpoint.contents[0]
    assert "[phone]" in endpoint.contents[0]
    assert "[email]" in endpoint.contents[0]
    rewrite(source, tmp_path / "plain", options_for(endpoint, send_unmasked=True))
    assert "13812345678" in endpoint.contents[1]


def test_cost_is_summed_and_stops_in_time(endpoint, make_questions, tmp_path):
    source = make_questions(50)
    price = ("stub=1000,1000",)  # a request: 300 tokens, 0.3 dollars; reserved while under way: some 2.7
    report = rewrite(source, tmp_path / "out", options_for(endpoint, prices=price, max_cost=6.0))
    assert 0 < report["cost"] <= 6.0
    assert report["cost"] == pytest.approx(0.3 * report["accepted"])
    assert report["open"] == 50 - report["accepted"] > 0
    report = rewrite(source, tmp_path / "out", options_for(endpoint, prices=price))
    assert (report["accepted"], report["open"]) == (50, 0)
    assert max(endpoint.asked.values()) == 1


def test_a_full_disk_is_what_the_user_hears_of(endpoint, make_questions, tmp_path, monkeypatch):
    """The ledger's line, not that the files beside it cannot be written either."""

    def fail(line: str):
        def failing(*_: object) -> None:
            raise OSError(line)

        return failing

    source = make_questions(3)
    kept = "ledger.sqlite: database or disk is full; what was written before is kept"
    monkeypatch.setattr("soulchatcorpus.making.ledger.Ledger.add", fail(kept))
    monkeypatch.setattr("soulchatcorpus.making.rewrite.write_json", fail("No space left on device"))
    with pytest.raises(OSError, match=r"^ledger.sqlite: .* is kept$"):
        rewrite(source, tmp_path / "out", options_for(endpoint))


def test_dry_run_sends_nothing(endpoint, make_questions):
    found = estimate(make_questions(10), options_for(endpoint, prices=("stub=1,2",)))
    assert (found.records, found.completion_tokens) == (10, 10_000)
    assert found.cost == pytest.approx((found.prompt_tokens + 2 * 10_000) / 1e6)
    assert not endpoint.asked


def test_requests_per_minute(endpoint, make_questions, tmp_path):
    start = time.monotonic()
    rewrite(make_questions(6), tmp_path / "out", options_for(endpoint, requests_per_minute=600))
    assert time.monotonic() - start >= 0.5


def test_a_wrong_key_stops_at_once_and_is_shown_nowhere(endpoint, make_questions, tmp_path, monkeypatch):
    endpoint.key = "sk-right"
    monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong-and-secret")
    with pytest.raises(EndpointError) as error:
        rewrite(make_questions(100), tmp_path / "out", options_for(endpoint))
    assert sum(endpoint.asked.values()) <= 8
    assert "sk-wrong" not in str(error.value)
    assert not any(b"sk-wrong" in path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())


def test_the_key_is_taken_out_of_replies(endpoint, make_questions, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    endpoint.answer = lambda content, model: dialogue(topic="sk-secret")
    rewrite(make_questions(1), tmp_path / "out", options_for(endpoint))
    assert not any(b"sk-secret" in path.read_bytes() for path in (tmp_path / "out").iterdir())


def test_an_endpoint_that_is_down_is_one_clear_error(make_questions, tmp_path):
    with StubEndpoint().running() as endpoint:
        pass
    with pytest.raises(EndpointError, match=f"cannot reach {endpoint.base_url}"):
        rewrite(make_questions(20), tmp_path / "out", options_for(endpoint))
    assert json.loads((tmp_path / "out" / "report.json").read_text())["open"] == 20


def test_unknown_model(endpoint, make_questions, tmp_path):
    endpoint.status = 404
    with pytest.raises(EndpointError, match="has no model 'stub'"):
        rewrite(make_questions(3), tmp_path / "out", options_for(endpoint))


def test_a_bad_request_rejects_the_record_only(endpoint, make_questions, tmp_path):
    endpoint.status = 400
    report = rewrite(make_questions(3), tmp_path / "out", options_for(endpoint))
    assert report["reasons"] == {"bad_request": 3}
    told = {row["detail"] for row in read_lines(tmp_path / "out" / "rejected.jsonl")}
    assert told == {'HTTP 400: {"error": {"message": "no"}}'}
    assert set(endpoint.asked.values()) == {2}, "with the field that says whether to think, and without"


def test_one_odd_answer_is_one_rejected_record_and_counts_in_the_cost(endpoint, make_questions, tmp_path):
    answers = {"记录1": "\ud83d", "记录2": "\udc00" * 3}
    endpoint.answer = lambda content, model: next(
        (odd for name, odd in answers.items() if name in content), dialogue()
    )
    options = options_for(endpoint, prices=("stub=1,1",), concurrency=1)
    report = rewrite(make_questions(5), tmp_path / "out", options)
    assert (report["accepted"], report["reasons"]) == (3, {"malformed": 2})
    rejected = {row["id"]: row for row in read_lines(tmp_path / "out" / "rejected.jsonl")}
    assert rejected["1"]["detail"].startswith("no JSON: ")
    assert "\\ud83d" in rejected["1"]["reply"]
    assert report["cost"] > 3 * 300 / 1e6
    again = rewrite(make_questions(5), tmp_path / "out", options.model_copy(update={"min_rounds": 2}))
    assert (again["accepted"], again["requests"]) == (3, report["requests"])
    answers.clear()
    assert (
        rewrite(make_questions(5), tmp_path / "out", options.model_copy(update={"retry": "rejected"}))["accepted"] == 5
    )


def test_an_endpoint_of_another_kind_is_given_up(endpoint, make_questions, tmp_path):
    endpoint.faults = {"malformed": 100}
    with pytest.raises(EndpointError, match="has answered with nothing but what is no completion"):
        rewrite(make_questions(40), tmp_path / "out", options_for(endpoint, concurrency=40))


def test_a_broken_source_is_found_before_anything_is_sent(endpoint, make_questions, tmp_path):
    source = make_questions(3)
    with source.open("a") as file:
        file.write('{"id": 7, "question": "没有回答"}\n')
    with pytest.raises(ValueError, match="record 4: no answer"):
        rewrite(source, tmp_path / "out", options_for(endpoint))
    assert not endpoint.asked


def test_faults_of_every_kind(endpoint, make_questions, tmp_path):
    endpoint.faults = FAULTS
    report = rewrite(make_questions(120), tmp_path / "out", options_for(endpoint, timeout=2, concurrency=60))
    assert report["accepted"] + report["rejected"] == 120
    assert report["open"] == 0
    assert set(report["reasons"]) == {"refusal"}
    assert max(endpoint.answered.values()) == 1
    check_ledger(tmp_path / "out", endpoint, killed=False)


def check_ledger(out: Path, endpoint, killed: bool) -> None:
    """One final row a record; every row is a request that the endpoint saw (after a kill it may have seen more)."""
    with sqlite3.connect(out / "ledger.sqlite") as database:
        rows = database.execute("SELECT count(*) FROM requests").fetchone()[0]
        twice = database.execute(
            "SELECT record_id FROM requests WHERE status IN ('accepted', 'rejected') "
            "GROUP BY record_id HAVING count(*) > 1"
        ).fetchall()
        answered = "FROM requests WHERE reply IS NOT NULL AND reason IS NOT 'malformed'"
        tokens, replies = database.execute(f"SELECT sum(prompt_tokens), count(*) {answered}").fetchone()
    assert twice == []
    assert tokens == 100 * replies
    seen = sum(endpoint.asked.values())
    assert rows <= seen if killed else rows == seen


@pytest.mark.slow
def test_a_thousand_records_with_faults_and_three_kills(endpoint, make_questions, tmp_path):
    endpoint.faults = FAULTS
    source, out = make_questions(1000), tmp_path / "out"
    command = [
        *(
            sys.executable,
            "-c",
            "from soulchat.cli import main; main()",
            "corpus",
            "rewrite",
            str(source),
            "--out",
            str(out),
        ),
        *("--base-url", endpoint.base_url, "--model", "stub", "--concurrency", "32", "--timeout", "1"),
    ]
    draw = random.Random(1)
    stored_before: set[str] = set()
    for kill in range(3):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wanted = len(stored_before) + draw.randrange(100, 200)
        deadline = time.monotonic() + 120
        while len(stored(out)) < wanted and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        stored_before = stored(out)
        assert len(stored_before) >= wanted, kill
        asked_before = dict(endpoint.asked)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=300)
    assert all(endpoint.asked[record] == asked_before[record] for record in stored_before)
    accepted, rejected = read_lines(out / "conversations.jsonl"), read_lines(out / "rejected.jsonl")
    assert {r["id"] for r in accepted} | {r["id"] for r in rejected} == {str(n) for n in range(1000)}
    assert len(accepted) + len(rejected) == 1000
    assert all(r["reason"] for r in rejected)
    check_ledger(out, endpoint, killed=True)


def stored(out: Path) -> set[str]:
    """Ids with a final row."""
    if not (out / "ledger.sqlite").exists():
        return set()
    with sqlite3.connect(out / "ledger.sqlite", timeout=30) as database:
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'requests'").fetchone():
            return set()
        query = "SELECT record_id FROM requests WHERE status IN ('accepted', 'rejected')"
        return {record for (record,) in database.execute(query)}
