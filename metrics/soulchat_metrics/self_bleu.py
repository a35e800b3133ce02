"""Self-BLEU (Zhu et al., 2018): how much each text of a set is like the others; 100 where all are one text."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .bleu import MAX_ORDER, bleu_scores

# How often an n-gram stands in the text that has it most often, in the next one, and which text the first is.
_Most = tuple[int, int, int]


def self_bleu(texts: Sequence[str]) -> NDArray[np.float64]:
    """BLEU-4 of each text over its characters, x100, with all the others as references: float64 [texts].

    As nltk's `sentence_bleu` with `SmoothingFunction().method3`, but in time that grows with the texts and not with
    their square: whether a text is the one that has an n-gram most often decides which count clips it. The number
    rises with the number of texts; compare only sets of one size.

    Raises:
        ValueError: fewer than two texts.
    """
    if len(texts) < 2:
        raise ValueError(f"texts holds {len(texts)}; allowed: 2 or more, since each is compared with the others")
    matches = np.stack([_clipped(texts, order) for order in range(1, MAX_ORDER + 1)], axis=1)
    lengths = np.array([len(text) for text in texts], np.int64)
    totals = np.stack([np.maximum(lengths - order, 1) for order in range(MAX_ORDER)], axis=1)
    counts = np.column_stack([matches, totals, lengths, _closest_lengths(lengths.tolist())])
    return bleu_scores(counts, "method3")[:, MAX_ORDER - 1]


def _clipped(texts: Sequence[str], order: int) -> NDArray[np.int64]:
    """The n-grams of each text that stand in another one, each at most as often as in the one that has it most."""
    counted = [Counter(text[start : start + order] for start in range(len(text) - order + 1)) for text in texts]
    most: dict[str, _Most] = {}
    for number, ngrams in enumerate(counted):
        for ngram, times in ngrams.items():
            first, second, owner = most.get(ngram, (0, 0, -1))
            most[ngram] = (times, first, number) if times > first else (first, max(second, times), owner)

    def clip(number: int) -> int:
        total = 0
        for ngram, times in counted[number].items():
            first, second, owner = most[ngram]
            total += min(times, second if owner == number else first)
        return total

    return np.array([clip(number) for number in range(len(texts))], np.int64)


def _closest_lengths(lengths: list[int]) -> list[int]:
    """For each text the length of another that is nearest to its own, the shorter of two that are as near."""
    ordered = sorted(lengths)

    def closest(length: int) -> int:
        place = bisect_left(ordered, length)
        others = ordered[max(0, place - 1) : place] + ordered[place + 1 : place + 2]
        return min(others, key=lambda other: (abs(other - length), other))

    return [closest(length) for length in lengths]
