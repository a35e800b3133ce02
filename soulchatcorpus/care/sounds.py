"""Words that tell, written by sound: in pinyin, with or without tones, together or apart, or in Zhuyin.

自sha, zi4 sha1, woxiangzisha and ㄗˋㄕㄚ all hold 自杀. A word of Latin letters is only taken apart where all of it is
pinyin and one of the words of `sounds.toml` is in it.
"""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import chain, product

from ..patterns import first_character_index
from .folding import Folded

# Whatever is written by sound, or stretched, has one of these.
WRITTEN = re.compile("[a-z\u3105-\u3129]")
_INITIALS = "zh ch sh b p m f d t n l g k h j q x r z c s y w"
_FINALS = "iang iong uang iao ian ing ang eng ong uai uan ai ei ao ou an en ia ie iu in ua uo ui un ue ve a e i o u v"
_WITHOUT_INITIAL = "ang ai an ao ou en er a e"
_SYLLABLES = {*map("".join, product(_INITIALS.split(), _FINALS.split())), *_WITHOUT_INITIAL.split()}
_LONGEST = max(map(len, _SYLLABLES))
_TONE = "[1-5]?[ˊˇˋ˙]?"
# What may be two or more syllables without a blank, and what parts some of them.
_TOGETHER = re.compile(r"[a-z](?<![a-z0-9'].)[a-z1-5']+(?![a-z0-9'])", re.DOTALL)
_PARTING = re.compile("[1-5]'?|'")
_BETWEEN = "[ '-]{0,3}"


def spell_out(folded: Folded) -> Folded:
    """The folded text with the words that tell in characters, where they were written by sound."""
    spelt = _load()
    if not WRITTEN.search(folded.text) or spelt.unless.search(folded.text):
        return folded
    return folded.rewrite(_TOGETHER, _apart).rewrite(
        spelt.pattern, lambda match: spelt.words[(match.lastindex or 0) - 1]
    )


def _apart(match: re.Match[str]) -> str:
    letters = _PARTING.split(match[0])
    syllables = list(map(_split, letters if letters[-1] else letters[:-1]))
    if not all(syllables):
        return match[0]
    spaced = " ".join(chain.from_iterable(syllables))
    return spaced if _load().pattern.search(spaced) else match[0]


def _split(letters: str) -> list[str]:
    """The syllables of a word, each the longest with which the rest is syllables, too; none where no way parts it."""
    # From the end, so that the time grows with the length alone: `re` would try every way to part xiaxiaxia…
    next_at = {len(letters): len(letters)}
    for start in reversed(range(len(letters))):
        for end in range(min(start + _LONGEST, len(letters)), start, -1):
            if end in next_at and letters[start:end] in _SYLLABLES:
                next_at[start] = end
                break
    found, place = list[str](), 0
    while place in next_at and place < len(letters):
        found.append(letters[place : next_at[place]])
        place = next_at[place]
    return found


@dataclass(frozen=True, slots=True)
class _Spelt:
    """One pattern for all words, the word of each of its groups, and what keeps all of them as they are."""

    pattern: re.Pattern[str]
    words: list[str]
    unless: re.Pattern[str]


@cache
def _load() -> _Spelt:
    data = tomllib.loads(files(__package__).joinpath("sounds.toml").read_text(encoding="utf-8"))
    sounds: dict[str, list[str]] = data["sounds"]
    words: list[str] = data["words"].split()
    pattern, index = first_character_index([_ways([sounds[character] for character in word], word) for word in words])
    return _Spelt(pattern, [words[row] for row in index], re.compile(data["unless"]))


def _ways(sounds: list[list[str]], word: str) -> list[str]:
    """Patterns for every way to write a word in which a character at least is written by sound."""
    syllables = [
        "(?:" + "|".join([character, *(f"{way}{_TONE}" for way in ways)]) + ")"
        for character, ways in zip(word, sounds, strict=True)
    ]
    rest = _BETWEEN + _BETWEEN.join(syllables[1:]) + "(?![a-z\u3105-\u3129])"
    first = [f"{way}{_TONE}{rest}" for way in sounds[0]]
    return [*first, f"{word[0]}(?!{word[1:]}){rest}"]
