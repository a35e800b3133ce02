"""ROUGE-1, ROUGE-2 and ROUGE-L exactly as rouge-chinese 1.0.3 computes them, without its quadratic table."""

import re

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import LCSseq

from .ngrams import TokenBatch, ngram_overlaps

ROUGE_NAMES = ("rouge-1", "rouge-2", "rouge-l")

# The four cuts of rouge_chinese.Rouge.cut_sent, in its order.
_SENTENCE_CUTS = (
    (re.compile(r"([。！？\?])([^”’])"), "\\1\n\\2"),
    (re.compile(r"(\.{6})([^”’])"), "\\1\n\\2"),
    (re.compile(r"(\…{2})([^”’])"), "\\1\n\\2"),
    (re.compile(r"([。！？\?][”’])([^，。！？\?])"), "\\1\n\\2"),
)


def rouge_tokens(tokens: list[str]) -> list[str]:
    """The tokens that rouge-chinese counts, given those that the caller joins with spaces.

    Whitespace tokens vanish, but a "sentence" of only whitespace becomes one empty token, which counts.
    An empty list means that rouge-chinese would raise.
    """
    joined = " ".join(tokens)
    for pattern, cut in _SENTENCE_CUTS:
        joined = pattern.sub(cut, joined)
    return [token for line in joined.rstrip().split("\n") if line for token in line.split() or [""]]


def keeps_its_words(text: str) -> bool:
    """Whether `rouge_tokens` surely returns the words of a text as jieba cuts it.

    jieba has `。！？?…` as words by themselves, so every cut falls between words and leaves one on either side; only
    six full stops, which are one word, and whitespace words can be taken apart or vanish.
    """
    return text.split(maxsplit=1) == [text] and "......" not in text


def rouge_counts(batch: TokenBatch) -> NDArray[np.int64]:
    """What ROUGE needs of each pair: int64 [num_pairs, 9], rows may be summed.

    Columns: for ROUGE-1, -2 and -L in turn the overlap, the prediction's size and the reference's size; sizes are
    of sets of n-grams for ROUGE-1 and -2, of token lists for ROUGE-L.
    """
    unigrams, bigrams = ngram_overlaps(batch, 2)
    return np.stack(
        [
            *(unigrams.common, unigrams.in_prediction, unigrams.in_reference),
            *(bigrams.common, bigrams.in_prediction, bigrams.in_reference),
            *(_common_subsequences(batch), *np.split(batch.lengths, 2)),
        ],
        axis=1,
    )


def rouge_scores(counts: NDArray) -> NDArray[np.float64]:
    """ROUGE-1, ROUGE-2 and ROUGE-L F, x100, of each row of `rouge_counts` or of sums of them: float64 [rows, 3].

    F = 2pr / (p + r + 1e-8), so identical texts score 99.9999995.
    """
    overlap, predicted, referred = np.moveaxis(counts.reshape(-1, 3, 3), 2, 0)
    precision, recall = overlap / np.maximum(predicted, 1), overlap / np.maximum(referred, 1)
    return 100 * 2.0 * ((precision * recall) / (precision + recall + 1e-8))


def _common_subsequences(batch: TokenBatch) -> NDArray[np.int64]:
    """Length of the longest common subsequence of each pair; rapidfuzz's is bit-parallel (Hyyrö, 2004)."""
    ends = np.cumsum(batch.lengths)
    texts = [batch.tokens[start:end].tolist() for start, end in zip(ends - batch.lengths, ends, strict=True)]
    pairs = zip(texts[: batch.num_pairs], texts[batch.num_pairs :], strict=True)
    return np.array([LCSseq.similarity(prediction, reference) for prediction, reference in pairs], dtype=np.int64)
