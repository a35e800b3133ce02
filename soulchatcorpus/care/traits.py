"""What stands around each character of a folded text: its neighbours, their kinds, how frequent they are together.

A trait is one, two or three of these facts; its bucket is a hash of them (Weinberger et al., 2009). `runs` knows of
runs of two and three characters how frequent they are in ordinary talk, for what is private is rare, and what they
are.
"""

import re
import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..sieve import code_points
from .folding import HAN

# Buckets of the weights, and of the frequencies of runs.
WEIGHT_BITS, RUN_BITS = 18, 22
# What a run is, in the upper half of its byte; in the lower half the logarithm of its count.
RUN_KINDS = ("", "word", "known", "place", "naming", "kin", "role", "title")
# Facts that are one trait, by the place of the character they are about: c a character, k its kind, f and t the
# frequency of the two and three characters that begin there, w and v what these are.
_TRAITS = (
    "c-3;c-2;c-1;c0;c1;c2;c3;c-3 c-2;c-2 c-1;c-1 c0;c0 c1;c1 c2;c2 c3;c-1 c1;c-2 c0;c0 c2;"
    "c-3 c-2 c-1;c-2 c-1 c0;c-1 c0 c1;c0 c1 c2;c1 c2 c3;"
    "f-1 f0;f0 f1;f-2 f-1;f-1 k0 k-1;f0 k0 k1;f-1 t-1 k0;f0 t0 k0;f-2 t-2 k0;"
    "k-1 k0 k1;k0 k1 k2;k-2 k-1 k0;before k0 after;"
    "w-1 w0 k0;v-1 w0 v0;v-2 w-1 v-1;w-1 before k0;w0 v0 after;w-2 w1 k0;"
    "w-2 v-3 k0;w-2 v-3 after;w-2 f0 f1;w1 k0 k-1;w1 v1 w2;w2 k0 k1;w-2 t0 k0"
)
_PAD = 4
# Stands between texts that are read together, for none to be read with another.
EDGE = "\n" * _PAD
_M1, _M2, _M3 = np.uint32(2654435761), np.uint32(2246822519), np.uint32(3266489917)


def find_traits(text: str, places: NDArray[np.int64], runs: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The buckets of all traits of the characters at `places`: an array of (traits, places)."""
    tables, facts = _tables(), _facts()
    codes = code_points(f"{EDGE}{text}{EDGE}")
    around = codes[places + np.arange(_PAD - 3, _PAD + 5)[:, None]]  # from 3 before to 4 after
    plain, kinds = tables[:, np.minimum(around, tables.shape[1] - 1)]
    two = runs[hash_runs(around[:-1], around[1:])]
    three = runs[hash_runs(around[:-2], around[1:-1], around[2:])]
    before, after = kinds[1:2] * 32 + kinds[2:3], kinds[4:5] * 32 + kinds[5:6]
    nothing = np.zeros_like(before)
    known = np.concatenate((nothing, plain[:7], kinds[1:6], two & 15, two >> 4, three & 15, three >> 4, before, after))
    code = np.arange(1, facts.shape[1] + 1, dtype=np.uint32)[:, None] * _M1
    for number in facts:
        code = (code ^ code >> np.uint32(15)) * _M2 + known[number] * _M3
    code = (code ^ code >> np.uint32(13)) * _M1
    return (code >> np.uint32(32 - WEIGHT_BITS)).astype(np.int64)


def hash_runs(*characters: NDArray[np.uint32]) -> NDArray[np.int64]:
    """The bucket of each run, given the first characters of all, the second ones, and so on."""
    code = characters[0] * _M2
    for following in characters[1:]:
        code = code * _M1 + following * _M2
    return ((code ^ code >> np.uint32(15)) * _M3 >> np.uint32(32 - RUN_BITS)).astype(np.int64)


def hash_run(run: str) -> int:
    """The bucket of one run of two or three characters."""
    return int(hash_runs(*(np.array([ord(character)], dtype=np.uint32) for character in run))[0])


@cache
def load_runs() -> NDArray[np.uint8]:
    """For each bucket of runs, the logarithm of the count of its run, and 16 times the place in `RUN_KINDS`."""
    with np.load(Path(str(files(__package__).joinpath("runs.npz"))), allow_pickle=False) as arrays:
        return arrays["runs"]


@cache
def _facts() -> NDArray[np.int64]:
    """For each of three places in a trait, and for each trait, the row of the fact that stands there."""
    rows = ["", *(f"c{o}" for o in range(-3, 4)), *(f"k{o}" for o in range(-2, 3))]
    rows += [f"{letter}{o}" for letter in "fw" for o in range(-3, 4)]
    rows += [f"{letter}{o}" for letter in "tv" for o in range(-3, 3)]
    rows += ["before", "after"]
    traits = [trait.split() for trait in _TRAITS.split(";")]
    return np.array([[rows.index(fact) for fact in [*trait, "", ""][:3]] for trait in traits]).T


@cache
def _tables() -> NDArray[np.uint32]:
    """For each code point, the character that it counts as (all digits are one), and its kind."""
    rows = tomllib.loads(files(__package__).joinpath("traits.toml").read_text(encoding="utf-8"))["kinds"]
    size = 0x10000
    plain, kinds = np.arange(size, dtype=np.uint32), np.zeros(size, dtype=np.uint32)
    plain[ord("0") : ord("9") + 1] = ord("0")
    for match in re.finditer(f"[{HAN}]|([0-9])|([a-z])", "".join(map(chr, range(size)))):
        kinds[ord(match[0])] = 1 + (match.lastindex or 0)
    for number, characters in enumerate(rows, 4):
        for character in characters:
            kinds[ord(character)] = number
    return np.stack((plain, kinds))
