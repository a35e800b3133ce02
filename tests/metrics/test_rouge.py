import time

import numpy as np
import pytest

from soulchat_metrics.ngrams import TokenBatch
from soulchat_metrics.rouge import keeps_its_words, rouge_counts, rouge_scores, rouge_tokens


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (["你好", "。", "\n", "我", "在"], ["你好", "。", "", "我", "在"]),
        (["你好", "\n", "我", "在"], ["你好", "我", "在"]),
        (["。", "\n", "。", "\n", "。"], ["。", "", "。", "", "。"]),
        (["............", "好"], ["......", "......", "好"]),
        ([" ", "\t"], []),
        ([], []),
        (["我", "在", "\n", "\n"], ["我", "在"]),
    ],
)
def test_tokens_are_those_that_rouge_chinese_counts(tokens, expected):
    assert rouge_tokens(tokens) == expected


def test_a_text_without_whitespace_keeps_its_words():
    assert keeps_its_words("我在。你呢？")
    for text in ("", " 我", "我 在", "我\n", "我\x1c在", "我......", "　"):
        assert not keeps_its_words(text)


def test_counts_and_scores_of_one_pair():
    counts = rouge_counts(TokenBatch.from_tokens([["我", "很", "我"]], [["我", "我", "难过", "很"]]))
    # Sets: {我, 很} in {我, 难过, 很}; pairs 我很, 很我 in 我我, 我难过, 难过很; the subsequence 我 我.
    assert counts.tolist() == [[2, 2, 3, 0, 2, 3, 2, 3, 4]]
    precision, recall = 2 / 3, 2 / 4
    assert rouge_scores(counts)[0, 2] == pytest.approx(200 * precision * recall / (precision + recall + 1e-8))


def test_identical_texts_score_as_rouge_chinese_has_it():
    [scores] = rouge_scores(rouge_counts(TokenBatch.from_tokens([["你", "好"]], [["你", "好"]])))
    assert scores.tolist() == pytest.approx([99.9999995] * 3, abs=1e-9)


def test_five_thousand_tokens_a_side_take_less_than_20_ms():
    tokens = np.random.default_rng(0).integers(0, 800, size=10_000)
    batch = TokenBatch(tokens, np.array([5000, 5000]), 800)
    seconds = []
    for _ in range(5):
        start = time.process_time()
        rouge_counts(batch)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.02
