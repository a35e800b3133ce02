"""BLEU-1 to BLEU-4 (Papineni et al., 2002) with cumulative weights, as nltk's `sentence_bleu` and `corpus_bleu`.

sacrebleu's differs in two points: a text shorter than an order has no n-gram of it, where nltk counts one, and where
all texts together have none the score is 0.
"""

import sys

import numpy as np
from numpy.typing import NDArray

from .ngrams import TokenBatch, ngram_overlaps

BLEU_NAMES = ("bleu-1", "bleu-2", "bleu-3", "bleu-4")
MAX_ORDER = 4


def bleu_counts(batch: TokenBatch, library: str) -> NDArray[np.int64]:
    """What BLEU needs of each pair: int64 [num_pairs, 10], rows may be summed, as corpus BLEU does.

    Columns: clipped matches of orders 1 to 4, n-grams of the prediction of orders 1 to 4, length of the prediction,
    length of the reference.

    Args:
        batch: the pairs.
        library: "nltk" (at least one n-gram of each order) or "sacrebleu".
    """
    fewest = 1 if library == "nltk" else 0
    prediction_lengths, reference_lengths = np.split(batch.lengths, 2)
    matches = [overlap.clipped for overlap in ngram_overlaps(batch, MAX_ORDER)]
    totals = [np.maximum(prediction_lengths - order, fewest) for order in range(MAX_ORDER)]
    return np.stack([*matches, *totals, prediction_lengths, reference_lengths], axis=1)


def bleu_scores(counts: NDArray, smoothing: str) -> NDArray[np.float64]:
    """BLEU-1 to BLEU-4, x100, of each row of `bleu_counts` or of sums of them: float64 [rows, 4].

    Args:
        counts: [rows, 10].
        smoothing: "method0" to "method3" of nltk's `SmoothingFunction`.
    """
    matches, totals = counts[:, :4].astype(np.float64), counts[:, 4:8].astype(np.float64)
    precisions = _smooth(matches, totals, smoothing)
    prediction_length, reference_length = counts[:, 8], np.maximum(counts[:, 9], 1)
    brevity = np.exp(np.minimum(0, 1 - reference_length / np.maximum(prediction_length, 1)))
    geometric_means = np.exp(np.cumsum(np.log(precisions), axis=1) / np.arange(1, MAX_ORDER + 1))
    scores = 100 * brevity[:, None] * geometric_means
    scores[matches[:, 0] == 0] = 0  # as nltk: no common unigram, no score, whatever the smoothing
    if smoothing != "method2":  # which adds an n-gram where there is none
        scores[np.cumsum(totals == 0, axis=1) > 0] = 0
    return scores


def _smooth(matches: NDArray, totals: NDArray, smoothing: str) -> NDArray:
    missing = matches == 0
    added = np.array([0, 1, 1, 1] if smoothing == "method2" else [0, 0, 0, 0])
    totals = np.maximum(totals + added, 1)  # where there is no n-gram, the score is set to 0
    if smoothing == "method0":
        return np.where(missing, sys.float_info.min, matches / totals)
    if smoothing == "method1":
        return np.where(missing, 0.1, matches) / totals
    if smoothing == "method2":
        smoothed = (matches + added) / totals
        return np.where(smoothed == 0, 1, smoothed)  # only order 1 can be zero here, and then the score is zero
    return np.where(missing, 0.5 ** np.cumsum(missing, axis=1), matches) / totals
