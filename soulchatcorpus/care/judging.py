"""One judgement for messages and replies: a text is read plainly, rules and detector weigh it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from .detector import Detector, load_detector
from .evasive import read_each, read_plainly
from .folding import Folded
from .rules import Words, find_words, find_words_in_each

# What is said outright is judged by itself, too, with so many characters before and after it: no amount of everyday
# talk around it outvotes a plain wish.
_OUTRIGHT = ("suicide", "self_harm")
_AROUND = 12
# What a character must weigh, as a share of the heaviest, to be among the words that weighed most.
_HEAVY = 0.4


@dataclass(frozen=True, slots=True)
class Judgement:
    """Why a text was taken for what a detector learned.

    Attributes:
        score: a probability as the detector has it.
        spans: start and end, in the text as given, of the words that weighed most.
        words: what the rules found.
    """

    score: float
    spans: list[tuple[int, int]]
    words: list[Words]


def judge(detector: Detector, text: str, threshold: float) -> Judgement | None:
    """The judgement of `text`, or None where its score is below the threshold or it has no words."""
    folded = read_plainly(text)
    if not folded.text.strip():
        return None
    words = find_words(folded.text)
    log_odds = [detector.score(piece, names) for piece, names in list_pieces(folded.text, words)]
    score = _probability(max(log_odds))
    return Judgement(score, _heaviest(detector, folded, words), words) if score >= threshold else None


def score_each(detector: Detector, texts: Sequence[str]) -> list[float]:
    """The score of the judgement of each of many texts, 0 of those without words, in a fraction of the time."""
    plain = read_each(texts)
    pieces = [list_pieces(*found) for found in zip(plain, find_words_in_each(plain), strict=True)]
    scores = iter(detector.score_each(*zip(*(piece for text in pieces for piece in text), strict=True)))
    highest = [max(next(scores) for _ in text) for text in pieces]
    return [_probability(score) if text.strip() else 0.0 for text, score in zip(plain, highest, strict=True)]


def list_pieces(text: str, words: list[Words]) -> list[tuple[str, set[str]]]:
    """What is judged of a folded text, of which the rules found `words`: all of it, and around what is said outright.

    Each piece comes with the names of what the rules found in it.
    """
    around = {
        text[max(0, found.start - _AROUND) : found.end + _AROUND]
        for found in words
        if found.kind in _OUTRIGHT and found.manner == "meant"
    }
    pieces = [(piece, {found.name for found in find_words(piece)}) for piece in sorted(around - {text})]
    return [(text, {found.name for found in words}), *pieces]


def load_own_detector(name: str) -> Detector:
    """A detector that comes with the package: "crisis" or "replies"."""
    return load_detector(Path(str(files(__package__).joinpath(f"{name}.npz"))))


def _probability(log_odds: float) -> float:
    return 0.5 + 0.5 * math.tanh(log_odds / 2)


def _heaviest(detector: Detector, folded: Folded, words: list[Words]) -> list[tuple[int, int]]:
    """Where in the original the heaviest characters stand, neighbours together; all of it where none weighs more."""
    weights = detector.weigh(folded.text)
    for found in words:  # a match of the rules stands as a whole
        inside = slice(found.start, found.end)
        weights[inside] = weights[inside].max() + detector.rules[found.name]
    heavy = np.flatnonzero(weights >= _HEAVY * max(weights.max(), 0))
    if not len(heavy):
        return [folded.original(0, len(weights))]
    starts, ends = folded.starts[heavy], folded.ends[heavy]
    apart = np.flatnonzero(starts[1:] > ends[:-1])
    firsts, lasts = starts[[0, *(apart + 1)]], ends[[*apart, -1]]
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))
