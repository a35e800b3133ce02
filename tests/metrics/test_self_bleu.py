"""Self-BLEU: nltk's number for every text with the others as references."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from soulchat_metrics.self_bleu import self_bleu


def test_equal_texts_and_texts_with_nothing_in_common():
    assert self_bleu(["我理解你", "我理解你"]).tolist() == pytest.approx([100, 100])
    assert self_bleu(["我理解你", "abcdef"]).tolist() == [0, 0]


@settings(max_examples=60)
@given(st.lists(st.text("我你他abc", min_size=1, max_size=12), min_size=2, max_size=6))
def test_every_text_has_the_number_of_nltk(texts):
    smoothing = SmoothingFunction().method3
    expected = []
    for number, text in enumerate(texts):
        others = [list(other) for place, other in enumerate(texts) if place != number]
        expected.append(100 * sentence_bleu(others, list(text), smoothing_function=smoothing))
    assert self_bleu(texts).tolist() == pytest.approx(expected)


def test_one_text_has_no_other():
    with pytest.raises(ValueError, match="texts holds 1; allowed: 2 or more"):
        self_bleu(["我"])
