"""A baseline that cannot be fluent by chance: the reply of the nearest training prompt.

What is asked is small and what is searched is large, so the roles of a search engine are exchanged: the n-grams of the
questions are indexed, and the training turns pass by twice, once to count their n-grams and once to be compared.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import embedding_bag
from tqdm.auto import tqdm

from soulchatcorpus.dialogue import COUNSELLOR_CUE, render_line
from soulchatcorpus.schema import Message
from soulchatcorpus.turns import Turn

CODE_BITS, ROW_BITS = 42, 22  # a bigram is two code points of 21 bits each; with a row number it fills 64 bits
BATCH_CHARACTERS = 1 << 21
QUESTIONS = 500  # answered in one pass over the training turns
ROUGH = 1e-4  # more than what a score in single precision is off by
TIE = 1e-12  # scores of equal sets of n-grams are off by less: their norms are summed in another order


def retrieval_baseline(train_turns: Iterable[Turn], contexts: Sequence[Sequence[Message]]) -> list[str]:
    """For each context, the completion of the training turn whose context is nearest.

    Nearness is the cosine of the sets of character bigrams of the talks in the paper's form, each weighted by its
    inverse document frequency; of equally near ones the first. Memory grows with the number of different bigrams and
    of contexts, not with the number of training turns.

    Args:
        train_turns: read twice, in the order of `split_turns`: a turn's context begins with that of the turn before it
            where both are of one conversation.
        contexts: what is to be answered.

    Raises:
        ValueError: there are no training turns.
    """
    codes, weights = _count(train_turns)
    replies = []
    with tqdm(total=len(contexts), desc="Retrieving", unit="reply") as progress:
        for first in range(0, len(contexts), QUESTIONS):
            questions = _Questions(contexts[first : first + QUESTIONS], codes, weights)
            for batch in _batches(train_turns):
                grams = _distinct_ngrams(batch)
                questions.compare(batch, grams, weights[np.searchsorted(codes, grams.codes)])
            replies += questions.replies
            progress.update(len(questions.replies))
    return replies


class _Batch(NamedTuple):
    """Some turns, a row each.

    Attributes:
        text: what each talk in the paper's form adds to that of the row before it.
        lengths: characters that each row adds; int64 [rows].
        starts: the row at which each row's conversation begins; int64 [rows].
        completions: the replies.
    """

    text: str
    lengths: np.ndarray
    starts: np.ndarray
    completions: list[str]

    @property
    def ends(self) -> np.ndarray:
        """One more than the last row of each row's conversation; int64 [rows]."""
        first = np.flatnonzero(self.starts == np.arange(len(self.starts)))
        return np.repeat(np.append(first[1:], len(self.starts)), np.diff(np.append(first, len(self.starts))))


class _NewNgrams(NamedTuple):
    """The n-grams of a batch, each once a conversation, at the row that adds it.

    Attributes:
        codes: the different ones, ascending; uint64 [different].
        counts: how many rows add each; int64 [different].
        rows: those rows, code by code; int64 [counts.sum()].
    """

    codes: np.ndarray
    counts: np.ndarray
    rows: np.ndarray


def _batches(turns: Iterable[Turn]) -> Iterator[_Batch]:
    texts: list[str] = []
    starts: list[int] = []
    completions: list[str] = []
    before: list[Message] = []
    characters = 0
    for turn in turns:
        goes_on = before and turn.context[: len(before)] == before
        if not goes_on and characters >= BATCH_CHARACTERS:
            yield _Batch("".join(texts), np.array(list(map(len, texts))), np.array(starts), completions)
            texts, starts, completions, characters = [], [], [], 0
        starts.append(starts[-1] if goes_on else len(starts))
        text = _render(turn.context[len(before) :])[len(COUNSELLOR_CUE) :] if goes_on else _render(turn.context)
        texts.append(text)
        completions.append(turn.completion)
        characters += len(text)
        before = turn.context
    if texts:
        yield _Batch("".join(texts), np.array(list(map(len, texts))), np.array(starts), completions)


def _render(messages: Sequence[Message]) -> str:
    return "\n".join([*(render_line(m) for m in messages if m["role"] != "system"), COUNSELLOR_CUE])


def _codes(text: str) -> np.ndarray:
    """The bigrams of a text, that of its i-th and next character at i; uint64 [characters - 1]."""
    points = np.frombuffer(text.encode("utf-32-le"), np.uint32).astype(np.uint64)
    return points[:-1] << np.uint64(CODE_BITS // 2) | points[1:]


def _distinct_ngrams(batch: _Batch) -> _NewNgrams:
    rows = np.repeat(np.arange(len(batch.lengths), dtype=np.uint64), batch.lengths)
    keys = _codes(batch.text)
    keys <<= np.uint64(ROW_BITS)
    keys |= rows[1:]
    first_characters = (np.cumsum(batch.lengths) - batch.lengths)[batch.starts == np.arange(len(batch.starts))]
    keys = np.delete(keys, first_characters[1:] - 1)  # a character of one conversation and one of the next
    keys.sort()
    codes = keys >> np.uint64(ROW_BITS)
    rows = (keys & np.uint64((1 << ROW_BITS) - 1)).astype(np.int64)
    starts = batch.starts[rows]
    is_code = np.append(True, codes[1:] != codes[:-1])
    is_new = is_code | np.append(True, starts[1:] != starts[:-1])
    firsts = np.flatnonzero(is_code[is_new])
    return _NewNgrams(codes[is_code], np.diff(np.append(firsts, is_new.sum())), rows[is_new])


def _grow(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """In place: to each row's values those of the rows before it in its conversation are added."""
    for step in range(1, int((np.arange(len(starts)) - starts).max()) + 1):
        later = np.flatnonzero(np.arange(len(starts)) - starts == step)
        values[later] += values[later - 1]
    return values


def _count(turns: Iterable[Turn]) -> tuple[np.ndarray, np.ndarray]:
    """All n-grams of some turns, ascending, and their weights: squared inverse document frequencies."""
    codes, counts, total = np.zeros(0, np.uint64), np.zeros(0, np.int64), 0
    for batch in _batches(turns):
        grams = _distinct_ngrams(batch)
        places = np.cumsum(grams.counts) - grams.counts
        having = np.add.reduceat((batch.ends - np.arange(len(batch.ends)))[grams.rows], places)
        codes, counts = _add(np.concatenate([codes, grams.codes]), np.concatenate([counts, having]))
        total += len(batch.completions)
    if not total:
        raise ValueError("the retrieval baseline has no training turns; allowed: at least one")
    return codes, np.log(total / counts) ** 2


def _add(codes: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different codes, ascending, with the sums of their counts."""
    order = np.argsort(codes, kind="stable")
    codes = codes[order]
    firsts = np.flatnonzero(np.append(True, codes[1:] != codes[:-1]))
    return codes[firsts], np.add.reduceat(counts[order], firsts)


class _Questions:
    """Some contexts by the n-grams that they share with training turns, and the nearest turn to each so far.

    Attributes:
        codes: the n-grams, ascending; uint64 [different].
        weights: float64 [different].
        has: an n-gram's weight where a question has it, else 0; float32 [different, questions].
        best: nearness of the nearest turns; float64 [questions].
        replies: those turns' completions.
    """

    def __init__(self, contexts: Sequence[Sequence[Message]], codes: np.ndarray, weights: np.ndarray) -> None:
        sets = [np.unique(_codes(_render(context))) for context in contexts]
        is_asked = np.isin(codes, np.concatenate(sets)) & (weights > 0)
        self.codes, self.weights = codes[is_asked], weights[is_asked]
        had = np.stack([np.isin(self.codes, own) for own in sets], axis=1)
        self.has = torch.from_numpy(had) * torch.from_numpy(self.weights).float()[:, None]
        self.best = np.full(len(contexts), -1.0)
        self.replies = [""] * len(contexts)

    def compare(self, batch: _Batch, grams: _NewNgrams, weights: np.ndarray) -> None:
        """Look for nearer turns in a batch; weights: of its different n-grams."""
        norms = _grow(np.bincount(grams.rows, np.repeat(weights, grams.counts), len(batch.starts)), batch.starts)
        norms = np.sqrt(np.maximum(norms, np.finfo(np.float32).tiny))
        columns, offsets = self._find(grams, len(batch.starts))
        shared = embedding_bag(torch.from_numpy(columns), self.has, torch.from_numpy(offsets[:-1]), mode="sum").numpy()
        scores = _grow(shared, batch.starts) / norms.astype(np.float32)[:, None]
        for question, highest in enumerate(scores.max(axis=0)):
            if highest < self.best[question] * (1 - ROUGH):
                continue
            for row in np.flatnonzero(scores[:, question] >= highest * (1 - ROUGH)):
                own = columns[offsets[batch.starts[row]] : offsets[row + 1]]
                exact = math.fsum(self.weights[own[self.has[own, question].numpy() > 0]]) / norms[row]
                if exact > self.best[question] * (1 + TIE):
                    self.best[question], self.replies[question] = exact, batch.completions[row]

    def _find(self, grams: _NewNgrams, num_rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Places in `codes` of the n-grams that rows add, row by row, and where each row's begin [num_rows + 1]."""
        places = np.searchsorted(self.codes, grams.codes)
        is_asked = np.append(self.codes, 0)[places] == grams.codes
        which = np.repeat(is_asked, grams.counts)
        keys = grams.rows[which] << 32 | np.repeat(places, grams.counts)[which]
        keys.sort()
        return keys & ((1 << 32) - 1), np.searchsorted(keys, np.arange(num_rows + 1) << 32)
