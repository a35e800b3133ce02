"""Texts as sets of their runs of five characters, and small sketches (MinHash) by which alike texts are found.

A sketch has `HASHES` numbers; the share in which two agree estimates the Jaccard similarity of the two sets. Two texts
are compared where they agree in one of `BANDS` bands: a pair of similarity 0.8 is with probability 0.998, one of 0.7
with 0.96.
"""

from collections.abc import Sequence

import numpy as np

RUN = 5
BANDS, ROWS = 12, 4
HASHES = BANDS * ROWS
# From this agreement on two texts are near: of one source, with words changed here and there.
NEAR = 0.7
# With how many texts of one band's value a text is compared.
MOST_ALIKE = 32

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_DRAW = np.random.default_rng(5)
_FACTORS = _DRAW.integers(0, 2**31, HASHES, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
_TERMS = _DRAW.integers(0, 2**32, HASHES, dtype=np.uint32)
_NO_RUN = np.uint32(0xFFFFFFFF)


def hash_runs(text: str) -> np.ndarray:
    """The hashes of all runs of `RUN` characters of a text, as they stand, uint32 [max(0, characters - RUN + 1)]."""
    codes = np.frombuffer(text.encode("utf-32-le", errors="replace"), dtype=np.uint32)
    size = max(0, len(codes) - RUN + 1)
    runs = np.zeros(size, dtype=np.uint64)
    for offset in range(RUN):
        runs = (runs + codes[offset : offset + size]) * _MULTIPLIER
        runs ^= runs >> np.uint64(29)
    return (runs >> np.uint64(32)).astype(np.uint32)


def squeeze(text: str) -> str:
    """A text without white space, as texts are compared."""
    return "".join(text.split())


def sketch(texts: Sequence[str], one_in: int = 1) -> np.ndarray:
    """A sketch of each text, uint32 [texts, HASHES].

    Args:
        texts: without white space. A text of fewer than `RUN` characters is like no other: all its numbers are the
            largest one.
        one_in: only runs whose hash is a multiple of it count; a long text has enough of them.
    """
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    runs = hash_runs("".join(texts))
    ends = np.cumsum(lengths)
    owner = np.repeat(np.arange(len(texts)), lengths)[: len(runs)]
    kept = (np.arange(len(runs)) + RUN <= ends[owner]) & (runs % np.uint32(one_in) == 0)
    runs, owner = runs[kept], owner[kept]
    sketches = np.full((len(texts), HASHES), _NO_RUN)
    if len(runs):
        starts = np.flatnonzero(np.diff(owner, prepend=-1))
        for number in range(HASHES):
            sketches[owner[starts], number] = np.minimum.reduceat(runs * _FACTORS[number] + _TERMS[number], starts)
    return sketches


def find_near(these: np.ndarray, others: np.ndarray, least: float = NEAR) -> tuple[np.ndarray, np.ndarray]:
    """For each of `these` sketches the most alike of `others`.

    Returns:
        Its row in `others`, int64 [these], -1 where none agrees in at least the share `least`; and the share in which
        the two agree, float32 [these].
    """
    best = np.full(len(these), -1)
    share = np.zeros(len(these), np.float32)
    readable = np.flatnonzero((others != _NO_RUN).any(axis=1))
    for band in range(BANDS):
        columns = slice(band * ROWS, (band + 1) * ROWS)
        keys = _keys(others[readable, columns])
        order = np.argsort(keys, kind="stable")
        keys, rows = keys[order], readable[order]
        wanted = _keys(these[:, columns])
        first, last = np.searchsorted(keys, wanted, "left"), np.searchsorted(keys, wanted, "right")
        for step in range(MOST_ALIKE):
            asked = np.flatnonzero(first + step < last)
            if not len(asked):
                break
            found = rows[first[asked] + step]
            agree = (these[asked] == others[found]).mean(axis=1, dtype=np.float32)
            better = (agree >= least) & (agree > share[asked])
            best[asked[better]], share[asked[better]] = found[better], agree[better]
    return best, share


def _keys(rows: np.ndarray) -> np.ndarray:
    """One number for each row of a band, uint64 [rows]."""
    keys = np.zeros(len(rows), np.uint64)
    for column in rows.T:
        keys = (keys ^ column) * _MULTIPLIER
        keys ^= keys >> np.uint64(32)
    return keys
