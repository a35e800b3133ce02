import math

import numpy as np
import pytest

from soulchat_metrics.bleu import bleu_counts, bleu_scores
from soulchat_metrics.ngrams import TokenBatch


def counts(prediction: str, reference: str, library: str = "nltk") -> np.ndarray:
    return bleu_counts(TokenBatch.from_characters([prediction], [reference]), library)


def test_counts_of_one_pair():
    # 我很难 of 我很难过: 3 of 3 characters, 2 of 2 pairs, 1 of 1 triple, and nltk's denominator of 1 for none.
    assert counts("我很难", "我很难过").tolist() == [[3, 2, 1, 0, 3, 2, 1, 1, 3, 4]]


@pytest.mark.parametrize(
    ("smoothing", "fourth_precision"),
    [("method1", 0.1), ("method2", 1 / 2), ("method3", 1 / 2), ("method0", 2.2e-308)],
)
def test_smoothing_of_a_missing_order(smoothing, fourth_precision):
    [scores] = bleu_scores(counts("我很难", "我很难过"), smoothing) / 100
    brevity = math.exp(1 - 4 / 3)
    assert scores[0] == pytest.approx(brevity)
    assert scores[3] == pytest.approx(brevity * fourth_precision ** (1 / 4), rel=1e-3)


def test_no_common_character_is_zero_under_every_smoothing():
    for smoothing in ("method0", "method1", "method2", "method3"):
        assert bleu_scores(counts("天气", "难过"), smoothing).tolist() == [[0, 0, 0, 0]]


def test_a_prediction_longer_than_its_reference_has_no_penalty():
    assert bleu_scores(counts("我很难过啊", "我很难过"), "method3")[0, 0] == pytest.approx(80)


def test_sacrebleu_counts_the_ngrams_that_there_are():
    assert counts("我很难", "我很难过", "sacrebleu").tolist() == [[3, 2, 1, 0, 3, 2, 1, 0, 3, 4]]
    [scores] = bleu_scores(counts("我很难", "我很难过", "sacrebleu"), "method3")
    assert scores[2] > 0
    assert scores[3] == 0
    [added] = bleu_scores(counts("我很难", "我很难过", "sacrebleu"), "method2")
    assert added[3] == pytest.approx(100 * math.exp(1 - 4 / 3))  # 0 + 1 of 0 + 1
