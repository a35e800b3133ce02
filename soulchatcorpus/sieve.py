"""Which of many regular expressions may match where, told from tables by the characters that a match begins with.

A search costs some ten nanoseconds for each character and each expression; a look-up of each character in tables, for
all expressions at once, costs three.
"""

import re
from collections.abc import Sequence
from functools import cache
from itertools import accumulate, chain

import numpy as np
from numpy.typing import NDArray

from .patterns import first_character_patterns, list_opening

# How many characters of a match are looked at, and how many groups of expressions are told apart.
DEPTH, BITS = 3, 32
# In the place of characters beyond, which are few: they may be of any class.
_SIZE = 0x10000
# For a character that no rule begins with.
_NOTHING: tuple[re.Pattern[str], list[int]] = (re.compile("(?!)"), [])
# The characters that a match begins with, as classes of `re`: "[ab]", or "." for any.
Opening = Sequence[str]
# Groups of them.
Openings = Sequence[Sequence[Opening]]


class Sieve:
    """What matches of some groups of expressions begin with: of each group the openings, at most `BITS` groups.

    Within a group a class is that of all openings together: [("a", "b"), ("c", "d")] lets "ad" pass as well.
    """

    def __init__(self, groups: Openings) -> None:
        self._tables = np.zeros((DEPTH, _SIZE + 1), dtype=np.uint32)
        for number, openings in enumerate(groups):
            for opening in openings:
                for table, wanted in zip(self._tables, [*opening, *"..."][:DEPTH], strict=True):
                    table[_members(wanted)] |= np.uint32(1 << number)
        self._tables[:, _SIZE] = ~np.uint32(0)

    def sift(self, text: str) -> NDArray[np.uint32]:
        """For each place of a text, the bits of the groups of which something may match there.

        At the end of the text something may match that would go on beyond.
        """
        codes = code_points(text)
        found, *others = (table.take(codes, mode="clip") for table in self._tables)
        for distance, following in enumerate(others, 1):
            found[:-distance] &= following[distance:]
        return found


class RuleIndex:
    """Rules as `first_character_index` takes them, looked up in many texts at once."""

    def __init__(self, groups: list[list[str]]) -> None:
        self._patterns = first_character_patterns(groups)
        # Those that are alike in their second character share a bit, so that few others pass it.
        openings = sorted(map(list_opening, chain.from_iterable(groups)), key=lambda opening: opening[1])
        size = -(-len(openings) // BITS)
        self._sieve = Sieve([openings[start : start + size] for start in range(0, len(openings), size)])

    def find_in_each(self, texts: Sequence[str]) -> list[list[tuple[int, re.Match[str]]]]:
        """In each text all that the pattern of `first_character_index` finds: group number and match."""
        starts = [0, *accumulate(map(len, texts))]
        places = np.flatnonzero(self._sieve.sift("".join(texts)))
        found, done = [list[tuple[int, re.Match[str]]]() for _ in texts], 0
        for place, number in zip(places.tolist(), numbers_of(places, starts), strict=True):
            if place >= done:
                text, start = texts[number], starts[number]
                pattern, groups = self._patterns.get(text[place - start], _NOTHING)
                if match := pattern.match(text, place - start):
                    found[number].append((groups[(match.lastindex or 0) - 1], match))
                    done = start + match.end()
        return found


def numbers_of(places: NDArray[np.int64], starts: Sequence[int]) -> list[int]:
    """Of texts one after the other that start at these places, the number of that in which each place is."""
    return (np.searchsorted(starts, places, side="right") - 1).tolist()


def code_points(text: str) -> NDArray[np.uint32]:
    """The code point of each character."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


@cache
def _members(wanted: str) -> NDArray[np.int64] | slice:
    if wanted == ".":
        return slice(None)
    return np.array([ord(match[0]) for match in re.finditer(wanted, _all_characters())], dtype=np.int64)


@cache
def _all_characters() -> str:
    return "".join(map(chr, range(_SIZE)))
