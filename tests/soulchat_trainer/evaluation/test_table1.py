"""Rows of systems: the metric's numbers, and what else is told of the replies."""

import pytest

import soulchat_metrics
from soulchat_trainer.evaluation.table1 import (
    describe_references,
    evaluate_model,
    evaluate_retrieval,
    score_predictions,
    system_row,
)
from soulchat_trainer.generation.engine import Decoding, Reply
from soulchatcorpus.turns import Turn
from tests.soulchat_trainer import training_parts

PREDICTIONS = ["听起来你很难过，可以告诉我吗？", "慢慢来。", ""]
REFERENCES = ["听起来你最近很难过。", "没关系，慢慢来。", "可以试试"]
TURNS = [
    Turn("1", 1, [{"role": "user", "content": "我最近总是睡不着"}], "告诉我一些。"),
    Turn("2", 1, [{"role": "user", "content": "难过"}], "理解你，慢慢来可以吗？"),
]


def test_scores_are_the_metrics() -> None:
    scores = score_predictions(PREDICTIONS, REFERENCES)
    expected = soulchat_metrics.score(PREDICTIONS, REFERENCES)
    assert scores["metrics"] == {name: expected[name] for name in soulchat_metrics.METRIC_NAMES}
    assert scores["signature"] == expected["signature"]
    assert set(scores["intervals"]) == set(scores["metrics"])
    assert scores["generation"]["empty"] == 1
    assert scores["generation"]["share_distinct"] == 1.0
    assert scores["generation"]["mean_length"] == pytest.approx((15 + 4 + 0) / 3)


def test_scores_need_pairs() -> None:
    with pytest.raises(ValueError, match="2"):
        score_predictions(PREDICTIONS[:2], REFERENCES)


def test_a_row_counts_replies_that_ended_and_ask() -> None:
    replies = [Reply(text, finished, 1) for text, finished in zip(PREDICTIONS, (True, False, True), strict=True)]
    row = system_row("model", "model", replies, REFERENCES, 1.5)
    assert row["generation"]["share_finished"] == pytest.approx(2 / 3)
    assert row["expressions"]["asks"] == pytest.approx(1 / 3)
    assert (row["samples"], row["seconds"], row["seen"]) == (3, 1.5, False)


def test_a_model_that_says_nothing_has_a_row_all_the_same() -> None:
    """A new one of 100 million parameters repeats <sop>: the scores of what became of it are not lost over that."""
    row = system_row("untrained", "model", [Reply("", False, 256), Reply("", False, 256)], REFERENCES[:2], 1.0)
    assert set(row["metrics"].values()) == {0.0}
    assert row["generation"] == {
        "distinct_1": 0.0,
        "distinct_2": 0.0,
        "mean_length": 0.0,
        "share_distinct": 0.5,
        "empty": 2,
        "share_finished": 0.0,
    }


def test_a_model_is_answered_and_scored(chatglm_tokenizer) -> None:
    model = training_parts.make_chatglm(chatglm_tokenizer, initializer_range=0.3)
    row, predictions = evaluate_model("m", model, chatglm_tokenizer, TURNS, Decoding(max_new_tokens=6), batch_size=2)
    assert len(predictions) == 2
    assert row["loss"] > 0
    assert row["perplexity"] > 1
    assert row["metrics"] == score_predictions(predictions, [turn.completion for turn in TURNS])["metrics"]


def test_retrieval_scores_100_on_what_it_has_seen() -> None:
    row, predictions = evaluate_retrieval(TURNS, TURNS)
    assert predictions == [turn.completion for turn in TURNS]
    assert row["metrics"]["bleu-1"] == pytest.approx(100)
    assert (row["kind"], row["loss"], row["generation"]["share_finished"]) == ("baseline", None, 1.0)


def test_references_are_described() -> None:
    described = describe_references(["好好", "好吗？"])
    assert described["distinct_1"] == pytest.approx(3 / 5)
    assert described["expressions"]["asks"] == 0.5
