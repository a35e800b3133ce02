"""Rows of systems: the metric's numbers, and what else is told of the replies."""

import pytest

import soulchat_metrics
from hub_cards.results import Replies, System
from soulchat_trainer.evaluation.table1 import describe_references, system_row
from soulchat_trainer.generation.engine import Reply

PREDICTIONS = ["听起来你很难过，可以告诉我吗？", "慢慢来。", ""]
REFERENCES = ["听起来你最近很难过。", "没关系，慢慢来。", "可以试试"]


def make_row(predictions: list[str] = PREDICTIONS) -> System:
    replies = [Reply(text, text != "慢慢来。", 1) for text in predictions]
    return system_row("model", "model", replies, REFERENCES, 1.5)


def test_scores_are_the_metrics() -> None:
    row = make_row()
    expected = soulchat_metrics.score(PREDICTIONS, REFERENCES)
    assert row.metrics == {name: expected[name] for name in soulchat_metrics.METRIC_NAMES}
    assert row.signature == expected["signature"]
    assert set(row.intervals) == set(row.metrics)
    assert (row.generation.empty, row.generation.share_distinct) == (1, 1.0)
    assert row.generation.mean_length == pytest.approx((15 + 4 + 0) / 3)


def test_scores_need_pairs() -> None:
    with pytest.raises(ValueError, match="2"):
        make_row(PREDICTIONS[:2])


def test_a_row_counts_replies_that_ended_and_ask() -> None:
    row = make_row()
    assert row.generation.share_finished == pytest.approx(2 / 3)
    assert row.expressions["asks"] == pytest.approx(1 / 3)
    assert (row.samples, row.seconds, row.seen) == (3, 1.5, False)


def test_a_model_that_says_nothing_has_a_row_all_the_same() -> None:
    """A new one of 100 million parameters repeats <sop>: the scores of what became of it are not lost over that."""
    row = system_row("untrained", "model", [Reply("", False, 256), Reply("", False, 256)], REFERENCES[:2], 1.0)
    assert set(row.metrics.values()) == {0.0}
    assert row.generation == Replies(
        distinct_1=0.0,
        distinct_2=0.0,
        mean_length=0.0,
        share_distinct=0.5,
        empty=2,
        share_finished=0.0,
        only_thoughts=0,
    )


def test_thoughts_without_an_end_are_counted() -> None:
    replies = [Reply("", False, 9, "想不完"), Reply("慢慢来。", True, 9, "想")]
    assert system_row("model", "model", replies, REFERENCES[:2], 1.0).generation.only_thoughts == 1


def test_references_are_described_like_replies() -> None:
    described = describe_references(REFERENCES)
    assert described.mean_length == pytest.approx((10 + 8 + 4) / 3)
    assert "asks" in described.expressions
