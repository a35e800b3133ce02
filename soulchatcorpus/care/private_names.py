"""Names of people in folded text: what may be one is weighed by its characters and by what stands around it.

What may be one: a surname with a given name of one or two characters or with a title; 阿, 小, 老 or 大 with one
character; a character said twice; and any two characters after a word for kin, a role or 叫, or with which a clause
begins. Each trait of a candidate has a weight, which `benchmarks/care_names.py` learns.
"""

import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..sieve import Openings, code_points
from .folding import HAN
from .traits import EDGE, RUN_KINDS, hash_run, hash_runs, load_runs

# Buckets of the weights, and how much one step of a weight is.
WEIGHT_BITS, WEIGHT_STEP = 16, 0.05
# A pair of characters of this frequency or above is an ordinary word, unless something calls for a name.
ORDINARY, ORDINARY_CALLED = 4, 9
# Which kinds of runs are words, by their place in `RUN_KINDS`.
_IS_WORD = np.array([kind not in ("", "known", "place") for kind in RUN_KINDS])
# What looks like words must be so much surer a name.
_SURER = 2.5
# A surname so frequent after the character before it is part of a word: 明白妈妈, 也许老师.
_IN_A_WORD = 6
# After 小 and a surname, what makes another word of it: 小孙子, 小白兔, 小马虎, 老胡思乱想.
_GOES_ON = "子女兔菜领色狗猫熊虎车蛮毛花须思"
# And what is another word by itself.
_OTHER_WORDS = "小熊|小钱|老赖"
_M1, _M2, _M3 = np.uint32(2654435761), np.uint32(2246822519), np.uint32(3266489917)
# Classes of characters: Chinese, may stand in a given name, may begin a name, may end what calls for a name.
_HAN, _GIVEN, _HEAD, _CALLER = 1, 2, 4, 8
# Kinds of what calls for a name; 1 is a word that names.
_KIN, _ROLE = 2, 3


@dataclass(frozen=True, slots=True)
class Candidate:
    """What may be a name: where, in which of the forms, and whether a word before it calls for a name."""

    start: int
    end: int
    form: int
    called: int


@dataclass(frozen=True, slots=True)
class NameModel:
    """What was learned.

    Attributes:
        weights: of each bucket of traits.
        threshold: the score from which a candidate is a name.
    """

    weights: NDArray[np.float32]
    threshold: float


def find_names(text: str) -> list[tuple[int, int]]:
    """Start and end of each Chinese name in a folded text, none overlapping another."""
    model = _load()
    found = list(find_titled(text))
    candidates = list_candidates(text)
    if not candidates:
        return found
    scores = model.weights[list_traits(text, candidates)].sum(axis=1)
    scored = [
        (score, candidate.start, candidate.end)
        for score, candidate in zip(scores.tolist(), candidates, strict=True)
        if score >= model.threshold and (score >= model.threshold + _SURER or not _like_words(text, candidate))
    ]
    for _, start, end in sorted(scored, reverse=True):
        if all(end <= other or last <= start for other, last in found):
            found.append((start, end))
    return found


def find_names_in_each(sentences: Sequence[str]) -> list[list[tuple[int, int]]]:
    """The same of each of many sentences, none over several lines."""
    starts = [0, *accumulate(len(sentence) + len(EDGE) for sentence in sentences)][:-1]
    found = [list[tuple[int, int]]() for _ in sentences]
    for start, end in find_names(EDGE.join(sentences)):
        number = bisect_right(starts, start) - 1
        found[number].append((start - starts[number], end - starts[number]))
    return found


def _like_words(text: str, candidate: Candidate) -> bool:
    """Whether it is a word of the dictionary, or one after what is seldom a surname, and nothing calls for a name."""
    start, end = candidate.start, candidate.end
    doubtful = text[start] not in _words().plain
    return candidate.called != 1 and (is_word(text[start:end]) or (doubtful and is_word(text[end - 2 : end])))


def find_titled(text: str) -> Iterator[tuple[int, int]]:
    """Surnames that seldom begin another word, with a title after them or 小, 老 or 阿 before them."""
    for match in _words().titled.finditer(text):
        start, end = match.span()
        into = text[max(0, start - 1) : start + 1].lstrip("\n")
        if len(into) < 2 or frequency_of(into) < _IN_A_WORD:
            yield start, end


def openings_of_titled() -> Openings:
    """What these begin with."""
    return _words().titled_openings


def frequency_of(run: str) -> int:
    """How frequent a run of two or three characters is in ordinary talk: the logarithm of its count, or 0."""
    return int(load_runs()[hash_run(run)]) & 15


def is_word(run: str) -> bool:
    """Whether a run of two or three characters is a word of the dictionary."""
    return bool(_IS_WORD[load_runs()[hash_run(run)] >> 4])


def is_kin_or_role(word: str) -> bool:
    """Whether it is a word for kin or for people of a trade, as 堂哥 and 医生 are."""
    return _words().callers.get(word) in (_KIN, _ROLE)


def list_candidates(text: str) -> list[Candidate]:
    """Everything in a folded text that may be a name."""
    return list(_candidates(text))


def _candidates(text: str) -> Iterator[Candidate]:
    words = _words()
    for start, alone, ordinary in _starts(words, text):
        called = _called(words, text, start)
        if ordinary and not called:
            continue
        first, second = text[start], text[start + 1]
        pair = first + second
        if first in words.surnames:
            if title := words.title.match(text, start + 1):
                yield Candidate(start, title.end(), 4, called)
            for length in (2, 3):
                if _is_given(words, text, start + 1, start + length):
                    yield Candidate(start, start + length, length - 2, called)
        if pair in words.compounds:
            yield Candidate(start, start + 2, 8, called)
            if title := words.title.match(text, start + 2):
                yield Candidate(start, title.end(), 4, called)
            for length in (3, 4):
                if _is_given(words, text, start + 2, start + length):
                    yield Candidate(start, start + length, length - 1, called)
        if first in "阿小老大":
            yield Candidate(start, start + 2, 5, called)
            if text[start + 2 : start + 3] in words.kind_titles:
                yield Candidate(start, start + 3, 5, called)
        elif first == second:
            yield Candidate(start, start + 2, 6, called)
        elif (called or alone) and _is_given(words, text, start, start + 2):
            yield Candidate(start, start + 2, 7, called)
            if text[start + 2 : start + 3] in words.kind_titles:
                yield Candidate(start, start + 3, 7, called)


def _starts(words: "_Words", text: str) -> list[tuple[int, bool, bool]]:
    """Where a candidate may begin, whether no Chinese character stands before it, whether it is an ordinary word."""
    codes = code_points(text)
    if len(codes) < 2:
        return []
    classes = words.classes.take(codes, mode="clip")
    first = classes[:-1]
    before = np.concatenate((classes[:1] & 0, first[:-1]))
    begins = (first & _HEAD != 0) | (codes[:-1] == codes[1:]) | (before & (_HAN | _CALLER) != _HAN)
    places = np.flatnonzero(begins & (first & _HAN != 0) & (classes[1:] & _GIVEN != 0))
    alone, called = before[places] & _HAN == 0, before[places] & _CALLER != 0
    frequency = load_runs()[hash_runs(codes[places], codes[places + 1])] & 15
    rare = frequency < np.where(called, ORDINARY_CALLED, ORDINARY)
    ordinary = frequency[rare] >= ORDINARY
    return list(zip(places[rare].tolist(), alone[rare].tolist(), ordinary.tolist(), strict=True))


def list_traits(text: str, candidates: list[Candidate]) -> NDArray[np.int64]:
    """The buckets of all that speaks for or against each candidate: an array of (candidates, traits)."""
    codes = code_points(f"\n\n{text}\n\n")
    starts, ends, form, called = np.array(
        [(each.start + 2, each.end + 2, each.form, each.called) for each in candidates], dtype=np.uint32
    ).T
    around = np.arange(-2, 2)[:, None]
    before2, before, first, second = codes[starts + around]
    previous, last, after, after2 = codes[ends + around]
    pairs = hash_runs(np.array([first, previous, before, last]), np.array([second, last, first, after]))
    threes = hash_runs(np.array([first, previous]), np.array([second, last]), np.array([last, after]))
    inner, tail, into, out = _weigh_runs(pairs)
    whole, over = _weigh_runs(threes)
    whole = np.where(ends - starts == 3, whole, inner)
    state, zero = form * 8 + called, form * 0
    traits = [
        (form, called),
        (form, first),
        (form, second),
        (form, last),
        (state, inner),
        (state, tail * 32 + inner),
        (state, whole),
        (state, into),
        (state, out),
        (form, before),
        (form, after),
        (before2, before),
        (after, after2),
        (zero, before),
        (zero, after),
        (last, after),
        (before, first),
        (state, over),
        (first, second),
        (second, np.where(ends - starts > 2, last, zero)),
        (zero, last),
        (form, into * 32 + out),
        (called, whole),
    ]
    ones, twos = np.array(traits).transpose(1, 0, 2)
    kinds = np.arange(1, len(traits) + 1, dtype=np.uint32)[:, None]
    code = kinds * _M1 + ones * _M2 + twos * _M3
    buckets = (code ^ code >> np.uint32(13)) * _M1 >> np.uint32(9) & np.uint32((1 << WEIGHT_BITS) - 1)
    return buckets.T.astype(np.int64)


def _weigh_runs(places: NDArray[np.int64]) -> NDArray[np.uint32]:
    """The frequency of each run, and 16 more for words."""
    known = load_runs()[places]
    return (known & 15) + 16 * _IS_WORD[known >> 4].astype(np.uint32)


def _called(words: "_Words", text: str, start: int) -> int:
    """What stands before: 1 a word that names, 2 one for kin, 3 one for a role; 0 nothing of these."""
    if not start or text[start - 1] not in words.last_of_callers:
        return 0
    for length in (4, 3, 2, 1):
        if kind := words.callers.get(text[max(0, start - length) : start]):
            return kind
    return 0


def _is_given(words: "_Words", text: str, start: int, end: int) -> bool:
    return end <= len(text) and words.given.fullmatch(text, start, end) is not None


@dataclass(frozen=True, slots=True)
class _Words:
    surnames: frozenset[str]
    plain: frozenset[str]
    compounds: frozenset[str]
    kind_titles: frozenset[str]
    title: re.Pattern[str]
    titled: re.Pattern[str]
    titled_openings: Openings
    given: re.Pattern[str]
    classes: NDArray[np.uint8]
    callers: dict[str, int]
    last_of_callers: frozenset[str]


@cache
def _words() -> _Words:
    data = tomllib.loads(files(__package__).joinpath("names.toml").read_text(encoding="utf-8"))
    surnames, compounds, closed = data["surnames"], data["compound_surnames"].split(), data["never_in_names"]
    callers = {
        word: kind for kind, name in ((_ROLE, "roles"), (_KIN, "kin"), (1, "naming")) for word in data[name].split()
    }
    titles = data["plain_titles"].split()
    firsts, seconds, *_ = zip(*titles, strict=False)
    given = rf"[{HAN}](?<![{closed}])"
    heads = "".join({name[0] for name in compounds})
    last = "".join({word[-1] for word in callers})
    classes = np.zeros(0x10000, dtype=np.uint8)
    for character in re.findall(f"[{HAN}]", "".join(map(chr, range(0x10000)))):
        classes[ord(character)] = _HAN | (_GIVEN if character not in closed else 0)
    for characters, flag in ((surnames + heads + "阿小老大", _HEAD), (last, _CALLER)):
        for character in set(characters):
            classes[ord(character)] |= flag
    return _Words(
        surnames=frozenset(surnames),
        plain=frozenset(data["plain_surnames"]),
        compounds=frozenset(compounds),
        kind_titles=frozenset(data["short_titles"]),
        title=re.compile("|".join(sorted(data["titles"].split(), key=len, reverse=True))),
        titled=re.compile(
            rf"[{data['plain_surnames']}](?:{'|'.join(titles)})"
            rf"|[小老阿](?<!法老)[{data['surnames_after_little']}](?<!{_OTHER_WORDS})(?![{_GOES_ON}])"
        ),
        titled_openings=[
            [(f"[{data['plain_surnames']}]", f"[{''.join(firsts)}]", f"[{''.join(seconds)}]")],
            [("[小老阿]", f"[{data['surnames_after_little']}]")],
        ],
        given=re.compile(f"(?:{given})+"),
        classes=classes,
        callers=callers,
        last_of_callers=frozenset(last),
    )


@cache
def _load() -> NameModel:
    with np.load(Path(str(files(__package__).joinpath("names.npz"))), allow_pickle=False) as arrays:
        return NameModel(arrays["weights"] * np.float32(WEIGHT_STEP), float(arrays["threshold"]))
