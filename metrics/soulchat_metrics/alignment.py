"""Where a prediction matches its reference, for people to see: tokens, and the n-grams that both have."""

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class TokenMatch:
    """A token of a prediction, and the order of the longest n-gram of the reference that covers it (0: none)."""

    token: str
    order: int


def longest_matches(prediction: list[str], reference: list[str], max_order: int = 4) -> list[TokenMatch]:
    """Every token of the prediction with the longest match of up to `max_order` tokens that covers it.

    An n-gram matches as often as the reference has it, as in BLEU's clipped counts; the first ones match.
    """
    orders = [0] * len(prediction)
    for order in range(1, max_order + 1):
        left = Counter(tuple(reference[start : start + order]) for start in range(len(reference) - order + 1))
        for start in range(len(prediction) - order + 1):
            ngram = tuple(prediction[start : start + order])
            if left[ngram]:
                left[ngram] -= 1
                orders[start : start + order] = [order] * order
    return [TokenMatch(token, order) for token, order in zip(prediction, orders, strict=True)]
