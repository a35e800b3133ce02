"""The server as an endpoint of the corpus rewriting and of the benchmark: all three as processes of their own."""

import json
import sqlite3
from collections.abc import Callable

import pytest

pytestmark = pytest.mark.slow
NO_LIMITS = ("--no-care", "--messages-per-minute", "0", "--message-characters", "100000", "--max-new-tokens", "24")
RECORDS = 40


@pytest.fixture
def address(start_verb: Callable[..., str], wide_model_folder: str) -> str:
    """Where `soulchat serve` answers for a small model whose window holds the rewriting's prompt."""
    return start_verb("serve", wide_model_folder, "--name", "small", "--replies-at-once", "256", *NO_LIMITS) + "/v1"


def test_rewriting_decides_every_record(address, run_verb, tmp_path):
    source, out = tmp_path / "questions.jsonl", tmp_path / "rewritten"
    rows = [
        {
            "id": f"q{number}",
            "question": f"我失眠第{number}周了，心里很焦虑，" + "不知道该怎么办。" * (number % 5),
            "answer": "听起来你很辛苦，可以试着在睡前放松。",
            "topic": "情绪",
        }
        for number in range(RECORDS)
    ]
    source.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    arguments = ["corpus", "rewrite", str(source), "--out", str(out), "--base-url", address, "--model", "small"]
    ran = run_verb(*arguments, "--concurrency", "32")
    assert ran.returncode == 1, ran.stderr  # random weights write no dialogue, so nothing was accepted
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["accepted"] + report["rejected"] == RECORDS
    assert report["open"] == 0
    rejected = [json.loads(line) for line in (out / "rejected.jsonl").read_bytes().splitlines()]
    # Each of them did answer: no limit, no window, no fault stood in the way.
    assert all(row["reply"] for row in rejected)
    assert not {"bad_request", "timeout", "connection", "malformed"} & {row["reason"] for row in rejected}
    with sqlite3.connect(out / "ledger.sqlite") as ledger:
        assert ledger.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_benchmark_answers_every_turn(address, run_verb, tmp_path):
    results = tmp_path / "results"
    arguments = ["benchmark", "run", "--model", "openai:small", "--base-url", address, "--output", str(results)]
    ran = run_verb(*arguments, "--samples", "20", "--max-new-tokens", "16", "--batch-size", "16", OPENAI_API_KEY="")
    assert ran.returncode == 0, ran.stderr
    [system] = json.loads((results / "results.json").read_text(encoding="utf-8"))["systems"]
    assert (system["kind"], system["name"], system["samples"]) == ("endpoint", "small", 20)
    assert set(system["metrics"]) == {"bleu-1", "bleu-2", "bleu-3", "bleu-4", "rouge-1", "rouge-2", "rouge-l"}
    predictions = next(results.rglob("predictions.jsonl"))
    rows = [json.loads(line) for line in predictions.read_bytes().splitlines()]
    assert len({row["id"] for row in rows}) == 20
