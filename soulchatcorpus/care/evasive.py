"""The words that evasive spellings stand for: 紫砂, zs and 自sha are read as 自杀, 🔪 as 刀, unalive as kill."""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ..patterns import first_character_index
from ..sieve import RuleIndex
from .folding import Folded, fold, fold_each
from .sounds import WRITTEN, spell_out
from .stretched import read_stretched


def read_plainly(text: str) -> Folded:
    """`text` folded, with the words of `evasive.toml` in place of their evasive spellings."""
    return spell_out(read_stretched(fold(text))).rewrite(_load().pattern, _word)


def read_each(texts: Sequence[str]) -> list[str]:
    """The text of `read_plainly` for each of many texts, in a fraction of the time."""
    spellings, folded = _load(), fold_each(texts)
    evasive = spellings.of_many.find_in_each(folded)
    return [
        read_plainly(text).text if found or WRITTEN.search(plain) else plain
        for text, plain, found in zip(texts, folded, evasive, strict=True)
    ]


def _word(match: re.Match[str]) -> str:
    word = _load().words[(match.lastindex or 0) - 1]
    return match[0] if word.unless and word.unless.search(match.string) else word.means


@dataclass(frozen=True, slots=True)
class _Word:
    means: str
    unless: re.Pattern[str] | None


@dataclass(frozen=True, slots=True)
class _Spellings:
    """One pattern for all spellings, and the word of each of its groups."""

    pattern: re.Pattern[str]
    of_many: RuleIndex
    words: list[_Word]


@cache
def _load() -> _Spellings:
    rows = tomllib.loads(files(__package__).joinpath("evasive.toml").read_text(encoding="utf-8"))["word"]
    words = [_Word(row["means"], re.compile(row["unless"]) if "unless" in row else None) for row in rows]
    groups = [row["written"] for row in rows]
    pattern, index = first_character_index(groups)
    return _Spellings(pattern, RuleIndex(groups), [words[row] for row in index])
