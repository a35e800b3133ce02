"""Names of people in folded text: what may be one is weighed by its characters and by what stands around it.

What may be one: a surname with a given name of one or two characters or with a title; 阿, 小, 老 or 大 with one
character; a character said twice; and any two characters after a word for kin, a role or 叫, or with which a clause
begins. `names.npz` knows how frequent runs of characters are in ordinary talk, for no name is a frequent one, and
weighs each trait of a candidate.
`benchmarks/care_names.py` learns both.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .folding import HAN

# Buckets of the weights, and of the frequencies of runs.
WEIGHT_BITS, RUN_BITS = 16, 22
# A pair of characters of this frequency or above is an ordinary word, unless something calls for a name.
ORDINARY, ORDINARY_CALLED = 4, 9
# What is more known of a run: it is a word of the dictionary, or the name of somebody well known.
WORD, KNOWN = 16, 32
# What looks like words must be so much surer a name.
_SURER = 2.5
# A surname so frequent after the character before it is part of a word: 明白妈妈, 也许老师.
_IN_A_WORD = 6
# After 小 and a surname, what makes another word of it: 小孙子, 小白兔, 小马虎.
_GOES_ON = "子女兔菜领色狗猫熊虎车蛮毛花"
_M1, _M2, _M3 = np.uint32(2654435761), np.uint32(2246822519), np.uint32(3266489917)
# Classes of characters: Chinese, may stand in a given name, may begin a name, may end what calls for a name.
_HAN, _GIVEN, _HEAD, _CALLER = 1, 2, 4, 8


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
        table: the frequency of each bucket of runs, from 0 (never seen) to 15, with `WORD` and `KNOWN`.
        threshold: the score from which a candidate is a name.
    """

    weights: NDArray[np.float32]
    table: NDArray[np.uint8]
    threshold: float

    def frequency(self, run: str) -> int:
        """How frequent a run of two or three characters is in ordinary talk: the logarithm of its count, or 0."""
        return int(self.table[hash_run(run)]) & 15


def find_names(text: str) -> list[tuple[int, int]]:
    """Start and end of each Chinese name in a folded text, none overlapping another."""
    model = _load()
    found = list(_titled(text, model))
    candidates = list_candidates(text, model)
    if not candidates:
        return found
    scores = model.weights[list_traits(text, candidates, model)].sum(axis=1)
    scored = [
        (score, candidate.start, candidate.end)
        for score, candidate in zip(scores.tolist(), candidates, strict=True)
        if score >= model.threshold and (score >= model.threshold + _SURER or not _like_words(text, candidate))
    ]
    for _, start, end in sorted(scored, reverse=True):
        if text[start:end] not in _words().well_known and all(end <= other or last <= start for other, last in found):
            found.append((start, end))
    return found


def _like_words(text: str, candidate: Candidate) -> bool:
    """Whether it is a word of the dictionary, or one after what is seldom a surname, and nothing calls for a name."""
    start, end = candidate.start, candidate.end
    doubtful = text[start] not in _words().plain
    return candidate.called != 1 and (is_word(text[start:end]) or (doubtful and is_word(text[end - 2 : end])))


def _titled(text: str, model: NameModel) -> Iterator[tuple[int, int]]:
    """Surnames that seldom begin another word, with a title after them or 小, 老 or 阿 before them."""
    for match in _words().titled.finditer(text):
        start, end = match.span()
        into = text[start - 1 : start + 1] if start else ""
        if len(into) < 2 or model.frequency(into) < _IN_A_WORD:
            yield start, end


def frequency_of(run: str) -> int:
    """How frequent a run of two or three characters is in ordinary talk: the logarithm of its count, or 0."""
    return _load().frequency(run)


def is_word(run: str) -> bool:
    """Whether a run of two or three characters is a word of the dictionary."""
    return bool(_load().table[hash_run(run)] & WORD)


def list_candidates(text: str, model: NameModel) -> list[Candidate]:
    """Everything in a folded text that may be a name."""
    return list(_candidates(text, model))


def _candidates(text: str, model: NameModel) -> Iterator[Candidate]:
    words = _words()
    for start, alone, ordinary in _starts(words, text, model):
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


def _starts(words: "_Words", text: str, model: NameModel) -> list[tuple[int, bool, bool]]:
    """Where a candidate may begin, whether no Chinese character stands before it, whether it is an ordinary word."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    if len(codes) < 2:
        return []
    classes = words.classes.take(codes, mode="clip")
    first = classes[:-1]
    before = np.concatenate((classes[:1] & 0, first[:-1]))
    begins = (first & _HEAD != 0) | (codes[:-1] == codes[1:]) | (before & (_HAN | _CALLER) != _HAN)
    places = np.flatnonzero(begins & (first & _HAN != 0) & (classes[1:] & _GIVEN != 0))
    alone, called = before[places] & _HAN == 0, before[places] & _CALLER != 0
    frequency = model.table[_hash([codes[places], codes[places + 1]])] & 15
    rare = frequency < np.where(called, ORDINARY_CALLED, ORDINARY)
    ordinary = frequency[rare] >= ORDINARY
    return list(zip(places[rare].tolist(), alone[rare].tolist(), ordinary.tolist(), strict=True))


def list_traits(text: str, candidates: list[Candidate], model: NameModel) -> NDArray[np.int64]:
    """The buckets of all that speaks for or against each candidate: an array of (candidates, traits)."""
    codes = np.frombuffer(f"\n\n{text}\n\n".encode("utf-32-le", "surrogatepass"), dtype="<u4")
    starts, ends, form, called = np.array(
        [(each.start + 2, each.end + 2, each.form, each.called) for each in candidates], dtype=np.uint32
    ).T
    around = np.arange(-2, 2)[:, None]
    before2, before, first, second = codes[starts + around]
    previous, last, after, after2 = codes[ends + around]
    pairs = _hash([np.array([first, previous, before, last]), np.array([second, last, first, after])])
    threes = _hash([np.array([first, previous]), np.array([second, last]), np.array([last, after])])
    inner, tail, into, out = model.table[pairs].astype(np.uint32)
    whole, over = model.table[threes].astype(np.uint32)
    whole = np.where(ends - starts == 3, whole, inner)
    state, zero, known = form * 8 + called, form * 0, np.uint32(31)
    inner, tail, into, out, over = inner & known, tail & known, into & known, out & known, over & known
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


def hash_run(run: str) -> int:
    """The bucket of a run of two or three characters."""
    return int(_hash([np.array([ord(character)], dtype=np.uint32) for character in run])[0])


def _hash(runs: list[NDArray[np.uint32]]) -> NDArray[np.int64]:
    """The bucket of each run, given the first characters of all, the second ones, and so on."""
    code = runs[0] * _M2
    for characters in runs[1:]:
        code = code * _M1 + characters * _M2
    buckets = (code ^ code >> np.uint32(15)) * _M3 >> np.uint32(7) & np.uint32((1 << RUN_BITS) - 1)
    return buckets.astype(np.int64)


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
    well_known: frozenset[str]
    compounds: frozenset[str]
    kind_titles: frozenset[str]
    title: re.Pattern[str]
    titled: re.Pattern[str]
    given: re.Pattern[str]
    classes: NDArray[np.uint8]
    callers: dict[str, int]
    last_of_callers: frozenset[str]


@cache
def _words() -> _Words:
    data = tomllib.loads(files(__package__).joinpath("names.toml").read_text(encoding="utf-8"))
    surnames, compounds, closed = data["surnames"], data["compound_surnames"].split(), data["never_in_names"]
    callers = {word: kind for kind, name in ((3, "roles"), (2, "kin"), (1, "naming")) for word in data[name].split()}
    given = rf"[{HAN}](?<![{closed}])"
    heads = "".join({name[0] for name in compounds})
    last = "".join({word[-1] for word in callers})
    classes = np.zeros(0x10000, dtype=np.uint8)
    for place in range(0x10000):
        if re.match(f"[{HAN}]", chr(place)):
            classes[place] = _HAN | (_GIVEN if chr(place) not in closed else 0)
    for characters, flag in ((surnames + heads + "阿小老大", _HEAD), (last, _CALLER)):
        for character in set(characters):
            classes[ord(character)] |= flag
    return _Words(
        surnames=frozenset(surnames),
        plain=frozenset(data["plain_surnames"]),
        well_known=frozenset(data["well_known"].split()),
        compounds=frozenset(compounds),
        kind_titles=frozenset(data["short_titles"]),
        title=re.compile("|".join(sorted(data["titles"].split(), key=len, reverse=True))),
        titled=re.compile(
            rf"[{data['plain_surnames']}](?:{'|'.join(data['plain_titles'].split())})"
            rf"|[小老阿][{data['surnames_after_little']}](?![{_GOES_ON}])"
        ),
        given=re.compile(f"(?:{given})+"),
        classes=classes,
        callers=callers,
        last_of_callers=frozenset(last),
    )


@cache
def _load() -> NameModel:
    with np.load(Path(str(files(__package__).joinpath("names.npz"))), allow_pickle=False) as arrays:
        return NameModel(arrays["weights"].astype(np.float32), arrays["runs"], float(arrays["threshold"]))
