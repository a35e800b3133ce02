"""Train, validation and test, disjoint by opening, in one pass and without knowing the corpus's size beforehand.

Corpora written from posts hold many conversations with the same first message (SMILECHAT: 55,165 conversations,
37,003 openings), so a random split leaks. Here every opening has a key, a hash of its text, and the openings with the
smallest keys are held out, whole. That choice depends neither on the order of the file nor on a random generator.

`Splitter` keeps only the candidates for the held-out splits in memory (at most `CAPACITY` turns); every other
conversation is known to be for training as soon as it is seen.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Generic, TypeVar

import numpy as np

SPLITS = ("train", "validation", "test")
TEST_TURNS = 10_000  # the paper, section 3.3; a tenth of the turns where the corpus has fewer than 100,000
VALIDATION_TURNS = 5_000  # a twentieth where the corpus has fewer than 100,000
COMMON_TURNS = 500  # an opening with more turns than this is a formula such as 你好: it stays in train
CAPACITY = TEST_TURNS + VALIDATION_TURNS + 2 * COMMON_TURNS

Item = TypeVar("Item")


@dataclass(slots=True)
class _Group(Generic[Item]):
    """The conversations of one opening, in the order they came."""

    turns: int = 0
    items: list[tuple[int, Item]] = field(default_factory=list)


def opening_key(opening: str) -> int:
    """A 64-bit hash of a conversation's first message (`turns.find_opening`); white space does not count."""
    return int(opening_keys([opening])[0])


def opening_keys(openings: Sequence[str]) -> np.ndarray:
    """The `opening_key` of each opening; uint64 [openings]."""
    digests = [blake2b("".join(opening.split()).encode(), digest_size=8).digest() for opening in openings]
    return np.frombuffer(b"".join(digests), ">u8").astype(np.uint64)


def held_out_turns(total: int) -> tuple[int, int]:
    """How many turns test and validation get out of `total`."""
    return min(TEST_TURNS, total // 10), min(VALIDATION_TURNS, total // 20)


class Splitter(Generic[Item]):
    """Assigns items (whatever stands for a conversation) to splits.

    `count` tells of many conversations which are candidates for the held-out splits. The others are for training; hand
    the candidates to `keep`, which returns those that are now known to be for training. After the last one `finish`
    returns all that was kept, by split. Test holds exactly the turns of `held_out_turns` wherever whole openings add
    up to that number.
    """

    def __init__(self) -> None:
        self.turns = 0
        self._held = 0
        self._kept = 0
        self._limit = (1 << 64) - 1  # keys from here on are for training
        self._groups: dict[int, _Group[Item]] = {}
        self._largest: list[int] = []  # the groups' keys, negated: a heap whose top is the largest key
        self._common: set[int] = set()

    def count(self, keys: np.ndarray, turns: np.ndarray) -> np.ndarray:
        """Take note of conversations by uint64 `opening_key`s and turns [n]; bool [n], True for a candidate."""
        self.turns += int(turns.sum())
        return (keys < np.uint64(self._limit)) & ~np.isin(keys, np.array(list(self._common), np.uint64))

    def keep(self, key: int, turns: int, item: Item) -> list[Item]:
        """Keep a candidate; returns the items that are candidates no longer, which this one may be by now."""
        if key >= self._limit or key in self._common:
            return [item]
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group()
            heapq.heappush(self._largest, -key)
        group.turns += turns
        group.items.append((self._kept, item))
        self._kept += 1
        self._held += turns
        if group.turns > COMMON_TURNS:
            self._common.add(key)
            return self._release(key)
        return self._shrink()

    def finish(self) -> dict[str, list[Item]]:
        """The items not yet returned, by split, each split in the order of the file."""
        test_turns, validation_turns = held_out_turns(self.turns)
        keys = sorted(self._groups)
        test = self._fill(keys, test_turns)
        validation = self._fill([key for key in keys if key not in test], validation_turns)
        train = self._groups.keys() - test - validation
        return {"train": self._collect(train), "validation": self._collect(validation), "test": self._collect(test)}

    def _shrink(self) -> list[Item]:
        released: list[Item] = []
        while self._largest:
            key = -self._largest[0]
            group = self._groups.get(key)
            if group is not None and self._held - group.turns < CAPACITY:
                break
            heapq.heappop(self._largest)
            if group is not None:
                self._limit = key
                released += self._release(key)
        return released

    def _release(self, key: int) -> list[Item]:
        group = self._groups.pop(key)
        self._held -= group.turns
        return [item for _, item in group.items]

    def _fill(self, keys: list[int], wanted: int) -> set[int]:
        """Keys in their order whose turns fit, until `wanted` is reached."""
        chosen: set[int] = set()
        for key in keys:
            if not wanted:
                break
            turns = self._groups[key].turns
            if turns <= wanted:
                chosen.add(key)
                wanted -= turns
        return chosen

    def _collect(self, keys: set[int]) -> list[Item]:
        items = sorted((place for key in keys for place in self._groups[key].items), key=lambda place: place[0])
        return [item for _, item in items]


def split_all(items: Iterable[tuple[int, int, Item]]) -> Iterator[tuple[str, Item]]:
    """(split, item) of a corpus given as (key, turns, item); those for training come as soon as they are known."""
    splitter: Splitter[Item] = Splitter()
    for key, turns, item in items:
        splitter.turns += turns
        yield from (("train", released) for released in splitter.keep(key, turns, item))
    for split, rest in splitter.finish().items():
        yield from ((split, item) for item in rest)
