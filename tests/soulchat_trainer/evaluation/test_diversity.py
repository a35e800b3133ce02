"""Distinct-n by hand."""

import pytest

from soulchat_trainer.evaluation.diversity import distinct, mean_length, share_distinct


def test_distinct() -> None:
    assert distinct(["你好你好", "你好"], 1) == pytest.approx(2 / 6)
    assert distinct(["你好你好", "你好"], 2) == pytest.approx(2 / 4)  # 你好 好你 你好, 你好
    assert distinct(["", "好"], 2) == 0.0


def test_shares_and_lengths() -> None:
    assert share_distinct(["好", "好", "嗯", "是"]) == 0.75
    assert mean_length(["", "好的"]) == 1.0
