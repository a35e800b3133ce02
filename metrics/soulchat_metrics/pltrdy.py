"""ROUGE as the package `rouge` 1.0.1 (pltrdy) computes it, which ms-swift prints.

Its ROUGE-1 and -2 are those of rouge-chinese over sentences cut at full stops. Its ROUGE-L is over sets: the union,
over all pairs of sentences, of the words of one longest common subsequence, against the number of distinct words.
"""

from itertools import chain

import numpy as np
from numpy.typing import NDArray

from .ngrams import TokenBatch, ngram_overlaps

# The backtracking needs the whole table; the package itself fails at about a thousand words (recursion).
_MAX_CELLS = 10**8


def pltrdy_rouge_counts(predictions: list[list[str]], references: list[list[str]]) -> NDArray[np.int64]:
    """As `rouge_counts`, of texts cut into words: int64 [num_pairs, 9].

    Raises:
        ValueError: two sentences are too long to compare.
    """
    sentences = [[_sentences(words) for words in texts] for texts in (predictions, references)]
    batch = TokenBatch.from_tokens(*([[*chain.from_iterable(text)] for text in texts] for texts in sentences))
    unigrams, bigrams = ngram_overlaps(batch, 2)
    unions = np.array([_union_size(*pair) for pair in zip(*sentences, strict=True)], dtype=np.int64)
    return np.stack(
        [
            *(unigrams.common, unigrams.in_prediction, unigrams.in_reference),
            *(bigrams.common, bigrams.in_prediction, bigrams.in_reference),
            *(unions, unigrams.in_prediction, unigrams.in_reference),
        ],
        axis=1,
    )


def _sentences(words: list[str]) -> list[list[str]]:
    return [sentence.split() or [""] for sentence in " ".join(words).split(".") if sentence]


def _union_size(prediction: list[list[str]], reference: list[list[str]]) -> int:
    common = (_common_words(of_reference, of_prediction) for of_reference in reference for of_prediction in prediction)
    return len(set().union(*common))


def _common_words(reference: list[str], prediction: list[str]) -> set[str]:
    """The words of the longest common subsequence that the package finds: at a tie it steps back in the prediction."""
    if len(reference) * len(prediction) > _MAX_CELLS:
        raise ValueError(
            f"sentences of {len(prediction)} and {len(reference)} words are too long for the ROUGE-L of the package "
            'rouge, which is quadratic; use the preset "paper", whose ROUGE has no such limit'
        )
    table = [[0] * (len(prediction) + 1)]
    for word in reference:
        above, lengths = table[-1], [0]
        for column, other in enumerate(prediction):
            lengths.append(above[column] + 1 if word == other else max(above[column + 1], lengths[column]))
        table.append(lengths)
    common = set()
    row, column = len(reference), len(prediction)
    while row and column:
        if reference[row - 1] == prediction[column - 1]:
            common.add(reference[row - 1])
            row, column = row - 1, column - 1
        elif table[row - 1][column] > table[row][column - 1]:
            row -= 1
        else:
            column -= 1
    return common
