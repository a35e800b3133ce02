"""How frequent runs of two and three characters are in ordinary talk, and which of them are words: `traits.runs`."""

import tomllib
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from soulchatcorpus.care.traits import RUN_BITS, RUN_KINDS, hash_run, hash_runs

# How often a name of jieba's dictionary must be met to be somebody well known.
KNOWN_NAME = 30
# A run below this count is not kept: of two characters, of three.
LEAST = {2: 2, 3: 8}


def count_runs(texts: list[str]) -> NDArray[np.uint8]:
    """For each bucket the logarithm of its run's count in texts and dictionary; in the upper half what the run is."""
    codes = np.frombuffer("\n".join(texts).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    runs = np.zeros(1 << RUN_BITS, dtype=np.uint8)
    words = _words()
    for length, least in LEAST.items():
        parts = [codes[place : len(codes) - length + 1 + place] for place in range(length)]
        keys = sum((part.astype(np.uint64) << np.uint64(21 * place) for place, part in enumerate(parts)))
        whole = keys[np.all([part != ord("\n") for part in parts], axis=0)]
        inside = [
            (sum(ord(c) << 21 * i for i, c in enumerate(word[start : start + length])), count)
            for word, count in words
            for start in range(len(word) - length + 1)
        ]
        kept, counts = np.unique(whole, return_counts=True)
        counts = dict(zip(kept[counts >= least].tolist(), counts[counts >= least].tolist(), strict=True))
        for key, count in inside:
            counts[key] = counts.get(key, 0) + count
        kept = np.fromiter(counts, np.uint64, len(counts))
        values = np.log2(np.fromiter(counts.values(), np.float64, len(counts))).astype(np.uint8)
        mask = np.uint64((1 << 21) - 1)
        places = hash_runs(*((kept >> np.uint64(21 * place) & mask).astype(np.uint32) for place in range(length)))
        np.maximum.at(runs, places, np.minimum(values, 15))
    for run, kind in _kinds().items():
        place = hash_run(run)
        runs[place] = runs[place] & 15 | RUN_KINDS.index(kind) << 4
    return runs


def dictionary() -> list[tuple[str, int, str]]:
    import jieba

    with jieba.get_dict_file() as file:
        rows = (line.split() for line in file.read().decode().splitlines())
        return [(word, int(count), tag) for word, count, tag in rows]


def _words() -> list[tuple[str, int]]:
    """Words of the dictionary that are no names, with how much they add to the counts of the runs in them."""
    return [
        (word, min(count, 200) // 4 + 1)
        for word, count, tag in dictionary()
        if 2 <= len(word) <= 4 and tag[:2] not in ("nr", "ns")
    ]


def _kinds() -> dict[str, str]:
    """What runs of two and three characters are; a later kind counts."""
    names = tomllib.loads(files("soulchatcorpus.care").joinpath("names.toml").read_text(encoding="utf-8"))
    places = tomllib.loads(files("soulchatcorpus.care").joinpath("places.toml").read_text(encoding="utf-8"))
    known = tomllib.loads(files("soulchatcorpus.care").joinpath("well_known.toml").read_text(encoding="utf-8"))
    kinds: dict[str, str] = {}
    rows = dictionary()
    kinds |= dict.fromkeys((word for word, _, tag in rows if tag[:2] not in ("nr", "ns")), "word")
    kinds |= dict.fromkeys((word for word, count, tag in rows if tag[:2] == "nr" and count >= KNOWN_NAME), "known")
    of_places = [word for word, _, tag in rows if tag[:2] == "ns"]
    kinds |= dict.fromkeys([*of_places, *(word[:-1] for word in of_places if word[-1] in "省市县区")], "place")
    kinds |= dict.fromkeys(f"{places['provinces']} {places['cities']}".split(), "place")
    kinds |= dict.fromkeys(known["names"].split(), "known")
    for name, kind in (("titles", "title"), ("roles", "role"), ("kin", "kin"), ("naming", "naming")):
        kinds |= dict.fromkeys(names[name].split(), kind)
    return {run: kind for run, kind in kinds.items() if 2 <= len(run) <= 3}
