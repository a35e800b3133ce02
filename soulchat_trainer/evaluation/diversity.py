"""How varied a set of replies is: the guard against one canned sentence that scores well."""

from collections.abc import Sequence


def distinct(texts: Sequence[str], n: int) -> float:
    """Distinct-n (Li et al. 2016): distinct character n-grams over all character n-grams of the texts; 0 without any.

    It falls with the number of texts: compare only sets of the same prompts.
    """
    ngrams = [text[start : start + n] for text in texts for start in range(len(text) - n + 1)]
    return len(set(ngrams)) / len(ngrams) if ngrams else 0.0


def share_distinct(texts: Sequence[str]) -> float:
    """Different texts over all texts."""
    return len(set(texts)) / len(texts)


def mean_length(texts: Sequence[str]) -> float:
    """Mean length in characters."""
    return sum(map(len, texts)) / len(texts)
