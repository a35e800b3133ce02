"""Names, addresses, organisations and other details that only their surroundings tell: a small sequence labeller.

Each character gets a score for every label (outside, the beginning and the inside of each kind): the sum of the
weights of its traits. The best sequence of labels of a sentence is found with the scores of each label after another
(a conditional random field, Lafferty et al., 2001; Viterbi, 1967). `benchmarks/care_tagger.py` learns the weights.

Ordinary talk costs little: only runs of characters that are rare in it are looked at, and only a sentence where one
of these may be private is read as a whole.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..sieve import code_points
from .traits import RUN_KINDS, find_traits, hash_runs, load_runs

KINDS = ("name", "address", "organisation", "handle", "id_number", "birth_date")
LABELS = 1 + 2 * len(KINDS)
# Runs of two below this frequency are looked at, and after what calls for a name those below the other.
_RARE, _RARE_CALLED = 4, 9
_CALLERS = np.array([kind in ("naming", "kin", "role") for kind in RUN_KINDS])
# The log odds of a detail at one of these runs from which its sentence is read.
_GATE = -3.0
# What is added to the score of each character for each kind; chosen by leaving out authors, with the false ones among
# ordinary talk in view. Names, addresses and organisations get a second look.
FAVOUR = {"name": 2.75, "address": 3.25, "organisation": 4.0, "handle": 0.0, "id_number": 0.0, "birth_date": 0.0}
# And where the rules, or names that were learned by themselves, take it for one.
LIKELY = {"name": 3.0, "address": 6.0, "organisation": 6.0}
SENTENCE = re.compile(r"[^。!?;\n]+[。!?;]*")
Found = tuple[str, int, int]


class Reading(NamedTuple):
    """A detail in a text, and by how much its labels outweigh none there."""

    kind: str
    start: int
    end: int
    margin: float


# How much one step of a weight is.
STEP = np.float32(0.2)
_NEVER = np.float32(-1e4)


@dataclass(frozen=True, slots=True)
class Tagger:
    """What was learned.

    Attributes:
        weights: of each bucket of traits for each label, in steps of `STEP`.
        bias: of each label.
        following: the score of each label (second axis) after another (first axis).
        gate: of each bucket for being of some detail, in the same steps; `gate_bias` is added.
        runs: see `traits`.
    """

    weights: NDArray[np.int8]
    bias: NDArray[np.float32]
    following: NDArray[np.float32]
    gate: NDArray[np.int8]
    gate_bias: float
    runs: NDArray[np.uint8]

    def score(self, text: str, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """The score of each label for the characters at `places`: an array of (places, labels)."""
        traits = find_traits(text, places, self.runs)
        return self.weights.take(traits, axis=0).sum(axis=0, dtype=np.int32) * STEP + self.bias

    def likelihood(self, text: str, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """The log odds that the characters at `places` are of some detail: (places,)."""
        traits = find_traits(text, places, self.runs)
        return self.gate.take(traits).sum(axis=0, dtype=np.int32) * STEP + np.float32(self.gate_bias)

    def suspicious(self, text: str) -> Iterator[tuple[int, int]]:
        """Start and end of each sentence of a folded text in which there may be a detail."""
        places = find_rare(text, self.runs)
        if not len(places):
            return
        done = 0
        for place in places[self.likelihood(text, places) > _GATE].tolist():
            if place >= done:
                start, done = sentence_around(text, place)
                yield start, done

    def read(self, text: str, sentences: Sequence[tuple[int, int]], likely: Iterable[Found]) -> Iterator[Reading]:
        """Each detail in some sentences of a folded text, of which start and end are given.

        What is `likely` for another reason is more easily found.
        """
        if not sentences:
            return
        places = np.concatenate([np.arange(start, end) for start, end in sentences])
        scores = self.score(text, places)
        for kind, start, end in likely:
            first, begin = int(places.searchsorted(start)), 2 * KINDS.index(kind) + 1
            scores[first, begin] += LIKELY[kind]
            scores[first + 1 : first + end - start, begin + 1] += LIKELY[kind]
        lengths = np.array([end - start for start, end in sentences])
        done = 0
        for (start, end), holding in zip(sentences, may_hold(scores, self.following, lengths).tolist(), strict=True):
            of_sentence = scores[done : done + end - start]
            done += end - start
            if holding:
                labels = best_labels(of_sentence, self.following)
                for kind, first, last in spans_of(labels):
                    margin = outweigh(of_sentence, self.following, labels, first, last)
                    yield Reading(kind, start + first, start + last, margin)


def sentence_around(text: str, place: int) -> tuple[int, int]:
    """Start and end of the sentence of a folded text in which a place is."""
    line = text.rfind("\n", 0, place) + 1
    start = max(line, *(text.rfind(mark, line, place) + 1 for mark in "。!?;"))
    sentence = SENTENCE.match(text, start)
    return start, sentence.end() if sentence else place + 1


def find_rare(text: str, runs: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Where two characters begin that are seldom together in ordinary talk."""
    codes = code_points(text)
    if len(codes) < 2:
        return np.zeros(0, dtype=np.int64)
    known = runs[hash_runs(codes[:-1], codes[1:])]
    frequency = known & 15
    called = np.zeros(len(known), dtype=bool)
    called[2:] = _CALLERS[known[:-2] >> 4] & (codes[:-3] != ord("\n"))
    written = (codes >= ord("0")) & ~((codes >= 0x3000) & (codes < 0x3400)) & (codes < 0xFF00)
    return np.flatnonzero((frequency < np.where(called, _RARE_CALLED, _RARE)) & written[:-1] & written[1:])


def may_hold(
    scores: NDArray[np.float32], following: NDArray[np.float32], lengths: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Whether in each sentence, of these lengths, a single detail may outweigh nothing at all.

    That is far cheaper than the best sequence, which is seldom asked. The best end for every beginning is where the
    sum of the insides before it is highest.
    """
    over = scores[:, 1:] - scores[:, :1]
    begins = np.arange(1, LABELS, 2)
    nothing = following[0, 0]
    stays = np.maximum(following[begins + 1, begins + 1], following[begins, begins + 1]) - nothing
    borders = following[0, begins] + np.maximum(following[begins, 0], following[begins + 1, 0]) - 2 * nothing
    inside = (over[:, 1::2] + stays).cumsum(axis=0, dtype=np.float64)
    inside += _NEVER * len(scores) * np.arange(len(lengths)).repeat(lengths)[:, None]  # no end in a later sentence
    best_end = np.maximum.accumulate(inside[::-1], axis=0)[::-1]
    best = (over[:, 0::2] + np.maximum(borders, 0) + best_end - inside).max(axis=1)
    return np.maximum.reduceat(best, lengths.cumsum() - lengths) > 0


def best_labels(scores: NDArray[np.float32], following: NDArray[np.float32]) -> list[int]:
    """The sequence of labels with the highest sum of scores."""
    total = scores[0] + following[0]  # nothing stands before a sentence
    came_from = []
    for own in scores[1:]:
        reached = total[:, None] + following
        best = reached.argmax(axis=0)
        came_from.append(best)
        total = reached.max(axis=0) + own
    labels = [int(total.argmax())]
    for best in reversed(came_from):
        labels.append(int(best[labels[-1]]))
    return labels[::-1]


def outweigh(
    scores: NDArray[np.float32], following: NDArray[np.float32], labels: list[int], start: int, end: int
) -> float:
    """By how much these labels score higher than nothing from `start` to before `end`."""
    around = [labels[start - 1] if start else 0, *labels[start:end], *labels[end : end + 1]]
    none = [around[0], *[0] * (end - start), *labels[end : end + 1]]
    own = sum(scores[place, labels[place]] - scores[place, 0] for place in range(start, end))
    return float(
        own + sum(following[a, b] for a, b in pairwise(around)) - sum(following[a, b] for a, b in pairwise(none))
    )


def spans_of(labels: list[int]) -> Iterator[tuple[str, int, int]]:
    """(kind, start, end) of each run of labels."""
    start = 0
    for place, label in enumerate([*labels, 0]):
        if place and labels[place - 1] and (label == 0 or label % 2 == 1):
            yield KINDS[(labels[place - 1] - 1) // 2], start, place
        if label % 2 == 1:
            start = place


def never_after() -> NDArray[np.float32]:
    """For each label after another, 0 where it may be, else a score that nothing outweighs: no inside of nothing."""
    never = np.zeros((LABELS, LABELS), dtype=np.float32)
    for kind in range(len(KINDS)):
        begin, inside = 2 * kind + 1, 2 * kind + 2
        never[:, inside] = _NEVER
        never[[begin, inside], inside] = 0
    return never


@cache
def load_tagger() -> Tagger:
    """The labeller that comes with the package."""
    with np.load(Path(str(files(__package__).joinpath("tagger.npz"))), allow_pickle=False) as arrays:
        return Tagger(
            weights=arrays["weights"],
            bias=arrays["bias"]
            + np.array([0.0, *(FAVOUR[kind] for kind in KINDS for _ in range(2))], dtype=np.float32),
            following=arrays["following"].astype(np.float32),
            gate=arrays["gate"],
            gate_bias=float(arrays["gate_bias"]),
            runs=load_runs(),
        )
