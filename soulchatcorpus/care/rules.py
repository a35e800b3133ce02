"""What names suicide, self-harm and dying outright: the few rules of `crisis.toml`, and how each match is meant."""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from ..patterns import first_character_index
from ..sieve import RuleIndex

Manner = Literal["meant", "denied", "told", "joking", "another"]

_IDIOM = "idiom"
_SENTENCE_END = "。.!?;\n"
# Characters before a match that are searched for a denial.
_DENIAL = 14


@dataclass(frozen=True, slots=True)
class Words:
    """A match in a folded text.

    Attributes:
        kind: which rule: "incitement", "suicide", "self_harm", "death_wish" or "death"; "idiom" is never meant.
        manner: how it is said: "meant" of the speaker, "denied", "told" (of fiction, news or learning), "joking", or
            of "another" person.
        start, end: where.
    """

    kind: str
    manner: Manner
    start: int
    end: int

    @property
    def name(self) -> str:
        """As the detector knows it."""
        return self.kind if self.kind == _IDIOM else f"{self.kind} {self.manner}"


def find_words(text: str) -> list[Words]:
    """Every match of the rules in a folded text, in order."""
    rules = _load()
    numbered = ((rules.index[(match.lastindex or 0) - 1], match) for match in rules.pattern.finditer(text))
    return [_weigh(rules, number, match) for number, match in numbered]


def find_words_in_each(texts: Sequence[str]) -> list[list[Words]]:
    """The same for each of many texts, in a fraction of the time."""
    rules = _load()
    return [[_weigh(rules, *found) for found in of_text] for of_text in rules.of_many.find_in_each(texts)]


def names_of_words() -> list[str]:
    """All names that `Words.name` can have."""
    kinds = [kind for kind in dict.fromkeys(_load().kinds) if kind != _IDIOM]
    manners: tuple[Manner, ...] = ("meant", "denied", "told", "joking", "another")
    return [_IDIOM, *(f"{kind} {manner}" for kind in sorted(kinds) for manner in manners)]


def _weigh(rules: "_Rules", number: int, match: re.Match[str]) -> Words:
    text, (start, end) = match.string, match.span()
    begin = max(text.rfind(mark, 0, start) for mark in _SENTENCE_END) + 1
    stop = min((place for mark in _SENTENCE_END if (place := text.find(mark, end)) >= 0), default=len(text))
    manner: Manner = "meant"
    if rules.denied.search(text, max(begin, start - _DENIAL), start):
        manner = "denied"
    elif rules.told.search(text, begin, stop):
        manner = "told"
    elif rules.joking.search(text, begin, stop):
        manner = "joking"
    elif rules.another.search(text, begin, start):
        manner = "another"
    return Words(rules.kinds[number], manner, start, end)


@dataclass(frozen=True, slots=True)
class _Rules:
    pattern: re.Pattern[str]
    index: list[int]
    of_many: RuleIndex
    kinds: list[str]
    denied: re.Pattern[str]
    told: re.Pattern[str]
    joking: re.Pattern[str]
    another: re.Pattern[str]


@cache
def _load() -> _Rules:
    data = tomllib.loads(files(__package__).joinpath("crisis.toml").read_text(encoding="utf-8"))
    groups = [rule["patterns"] for rule in data["rule"]]
    cues = {name: re.compile(cue) for name, cue in data["cues"].items()}
    pattern, index = first_character_index(groups)
    return _Rules(pattern, index, RuleIndex(groups), [rule["kind"] for rule in data["rule"]], **cues)
