"""A baseline that cannot be fluent by chance: the reply of the nearest training prompt."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from tqdm.auto import tqdm

from soulchatcorpus.turns import Turn

NGRAM = 2


def retrieval_baseline(train_turns: Iterable[Turn], prompts: Sequence[str]) -> list[str]:
    """For each prompt, the completion of the training turn whose prompt is nearest.

    Nearness is the cosine of the prompts' sets of character bigrams, each weighted by its inverse document frequency;
    of equally near ones the first. Time and memory grow with the number of bigrams in the training prompts.

    Args:
        train_turns: what is looked up.
        prompts: what is to be answered.

    Raises:
        ValueError: there are no training turns.
    """
    completions: list[str] = []
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, turn in enumerate(train_turns):
        completions.append(turn.completion)
        for ngram in _ngrams(turn.prompt):
            rows_of[ngram].append(row)
    if not completions:
        raise ValueError("the retrieval baseline has no training turns; allowed: at least one")
    postings = {ngram: np.array(rows, dtype=np.int32) for ngram, rows in rows_of.items()}
    weights = {ngram: np.log(len(completions) / len(rows)) ** 2 for ngram, rows in postings.items()}
    norms = np.zeros(len(completions))
    for ngram, rows in postings.items():
        norms[rows] += weights[ngram]
    norms = np.sqrt(np.maximum(norms, np.finfo(float).tiny))

    replies = []
    for prompt in tqdm(prompts, desc="Retrieving", unit="reply"):
        scores = np.zeros(len(completions))
        for ngram in sorted(_ngrams(prompt) & postings.keys()):
            scores[postings[ngram]] += weights[ngram]
        replies.append(completions[int(np.argmax(scores / norms))])
    return replies


def _ngrams(text: str) -> set[str]:
    return {text[start : start + NGRAM] for start in range(len(text) - NGRAM + 1)}
