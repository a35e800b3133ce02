from collections import Counter

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

from soulchat_metrics.ngrams import TokenBatch, ngram_overlaps

TOKENS = st.lists(st.sampled_from(["我", "很", "难过", "", "。"]), max_size=9)


def test_counts_of_a_tiny_batch():
    batch = TokenBatch.from_tokens([["a", "b", "a"], []], [["a", "a", "c"], ["a"]])
    unigrams, bigrams = ngram_overlaps(batch, 2)
    assert unigrams.clipped.tolist() == [2, 0]
    assert unigrams.common.tolist() == [1, 0]
    assert unigrams.in_prediction.tolist() == [2, 0]
    assert unigrams.in_reference.tolist() == [2, 1]
    assert bigrams.clipped.tolist() == [0, 0]
    assert bigrams.in_prediction.tolist() == [2, 0]
    assert bigrams.in_reference.tolist() == [2, 0]


def test_characters_are_code_points():
    batch = TokenBatch.from_characters(["👨\u200d👩"], ["👩"])
    assert batch.lengths.tolist() == [3, 1]
    assert next(ngram_overlaps(batch, 1)).clipped.tolist() == [1]


@settings(max_examples=100)
@given(st.lists(st.tuples(TOKENS, TOKENS), max_size=5))
def test_equal_to_counting_with_dictionaries(pairs):
    batch = TokenBatch.from_tokens([prediction for prediction, _ in pairs], [reference for _, reference in pairs])
    for order, overlap in enumerate(ngram_overlaps(batch, 4), start=1):
        for row, texts in enumerate(pairs):
            grams = [Counter(tuple(t[i : i + order]) for i in range(len(t) - order + 1)) for t in texts]
            assert overlap.clipped[row] == (grams[0] & grams[1]).total()
            assert overlap.common[row] == len(grams[0].keys() & grams[1].keys())
            assert [overlap.in_prediction[row], overlap.in_reference[row]] == [len(grams[0]), len(grams[1])]


def test_a_vocabulary_too_large_for_one_integer_is_counted_all_the_same():
    # 20 bits a token: four of them do not fit 63 bits, so grams are numbered anew on the way.
    tokens = np.random.default_rng(0).permutation(1 << 20)[:4000]
    batch = TokenBatch(np.concatenate([tokens, tokens]), np.array([4000, 4000]), 1 << 20)
    assert [overlap.clipped[0] for overlap in ngram_overlaps(batch, 4)] == [4000, 3999, 3998, 3997]
