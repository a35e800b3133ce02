"""N-gram overlap of many (prediction, reference) pairs at once: a few numpy sorts instead of a dictionary a pair."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, count

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class TokenBatch:
    """The tokens of some pairs, as numbers, one text after the other: all predictions, then all references.

    Attributes:
        tokens: int64 [num_tokens], each below `vocabulary_size`; equal numbers are equal tokens.
        lengths: int64 [2 * num_pairs], tokens of each text.
        vocabulary_size: how many numbers there are.
    """

    tokens: IntArray
    lengths: IntArray
    vocabulary_size: int

    @classmethod
    def from_characters(cls, predictions: list[str], references: list[str]) -> "TokenBatch":
        """Every code point is a token."""
        texts = predictions + references
        code_points = np.frombuffer("".join(texts).encode("utf-32-le"), dtype=np.uint32)
        vocabulary, tokens = np.unique(code_points, return_inverse=True)
        return cls(tokens, np.array([len(text) for text in texts], dtype=np.int64), len(vocabulary))

    @classmethod
    def from_tokens(cls, predictions: list[list[str]], references: list[list[str]]) -> "TokenBatch":
        """Texts that are cut into tokens already."""
        texts = predictions + references
        numbers: defaultdict[str, int] = defaultdict(count().__next__)
        lengths = np.array([len(text) for text in texts], dtype=np.int64)
        tokens = np.fromiter(map(numbers.__getitem__, chain.from_iterable(texts)), dtype=np.int64, count=lengths.sum())
        return cls(tokens, lengths, len(numbers))

    @property
    def num_pairs(self) -> int:
        return len(self.lengths) // 2


@dataclass(frozen=True)
class NgramOverlap:
    """Counts of the n-grams of one order, each int64 [num_pairs].

    Attributes:
        clipped: matches with multiplicity, min(times in prediction, times in reference) summed (BLEU).
        common: distinct n-grams that both have (ROUGE).
        in_prediction: distinct n-grams of the prediction.
        in_reference: distinct n-grams of the reference.
    """

    clipped: IntArray
    common: IntArray
    in_prediction: IntArray
    in_reference: IntArray


def ngram_overlaps(batch: TokenBatch, max_order: int) -> Iterator[NgramOverlap]:
    """The overlaps of orders 1 to `max_order`.

    Each n-gram becomes one integer (pair, gram, side); sorting brings equal grams of a pair together, the
    prediction's before the reference's, so that counting them is counting runs.
    """
    num_pairs = batch.num_pairs
    text = np.repeat(np.arange(2 * num_pairs), batch.lengths)
    pair, side = text % max(num_pairs, 1), text // max(num_pairs, 1)
    tokens_left = np.repeat(np.cumsum(batch.lengths), batch.lengths) - np.arange(len(text))
    token_bits = batch.vocabulary_size.bit_length()
    pair_bits = num_pairs.bit_length()

    grams, gram_bits = batch.tokens, token_bits
    for order in range(1, max_order + 1):
        if order > 1:
            if gram_bits + token_bits + pair_bits + 1 > 63:
                distinct, grams = np.unique(grams, return_inverse=True)
                gram_bits = len(distinct).bit_length()
            grams = (grams[:-1] << token_bits) | batch.tokens[order - 1 :]
            gram_bits += token_bits
        inside = tokens_left[: len(grams)] >= order
        keys = (((pair[: len(grams)] << gram_bits) | grams) << 1 | side[: len(grams)])[inside]
        yield _count_runs(keys, gram_bits, num_pairs)


def _count_runs(keys: IntArray, gram_bits: int, num_pairs: int) -> NgramOverlap:
    keys.sort()
    grams = keys >> 1
    starts = np.flatnonzero(np.concatenate(([True], grams[1:] != grams[:-1]))[: len(grams)])
    if not len(starts):
        nothing = np.zeros(num_pairs, dtype=np.int64)
        return NgramOverlap(nothing, nothing, nothing, nothing)
    in_reference = np.add.reduceat(keys & 1, starts)
    in_prediction = np.diff(starts, append=len(keys)) - in_reference
    pair = grams[starts] >> gram_bits

    def per_pair(values: NDArray) -> IntArray:
        return np.bincount(pair, weights=values, minlength=num_pairs).astype(np.int64)

    return NgramOverlap(
        clipped=per_pair(np.minimum(in_prediction, in_reference)),
        common=per_pair((in_prediction > 0) & (in_reference > 0)),
        in_prediction=per_pair(in_prediction > 0),
        in_reference=per_pair(in_reference > 0),
    )
