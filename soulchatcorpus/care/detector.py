"""A small learned detector: a weight for every run of up to three words, and for what the rules found.

Chinese characters, Latin words and numbers are the words. Each run of one, two or three of them, and each pair with
one word between, has a weight in a table that a hash looks up (Weinberger et al., 2009, "Feature Hashing for Large
Scale Multitask Learning"); the sum of a text's weights over the square root of their number is a logistic
regression's log odds. Where these are in doubt, a network that reads what stands beside what (network.py) adds its
own. `benchmarks/care.py train` learns both.
"""

import re
import zipfile
import zlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .network import Network, pack_network, unpack_network

# Log odds from which the network is asked: few harmless texts come so near, and those that it could find do.
DOUBT = -1.5

# Which pair of words each kind of run hashes: in order, one word, two, three, and two with one between.
_LENGTHS = (1, 2, 3, 3)
_WORD_OR_BLANKS = re.compile(r"[a-z']+|[0-9]+|[^\sa-z0-9']|\s+")
# Words of several characters; it begins with one class, which `re` looks up fastest.
_LATIN = re.compile(r"([a-z0-9'](?:(?<=[0-9])[0-9]+|(?<![0-9])[a-z']+))")
# Stand for the start and the end of a text, and for a word of several characters.
_START, _END, _WHOLE = "\x02", "\x03", "\x01"
# In the place of a run of words of two texts.
_NO_RUN = np.uint32(0xFFFFFFFF)
_M1, _M2, _M3 = np.uint32(2654435761), np.uint32(2246822519), np.uint32(3266489917)


def find_runs(text: str, bits: int) -> list[NDArray[np.uint32]]:
    """The bucket, of 2 to the `bits`, of every run of words of a folded text, start and end being words of their own.

    Four arrays: the words alone, the runs of two and of three, and the pairs with one word between; each in the order
    of the text.
    """
    return [hashed >> np.uint32(32 - bits) for hashed in _hash_text(text)]


def distinct_runs(text: str, bits: int) -> NDArray[np.uint32]:
    """The buckets of all runs of a folded text, each once, in rising order."""
    buckets = np.concatenate(_hash_text(text)) >> np.uint32(32 - bits)
    buckets.sort()
    return buckets.compress(_differ(buckets))


def distinct_runs_of_each(texts: Sequence[str], bits: int) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """The same of many texts, one after the other, and where those of each text begin.

    So many texts that the bits of their number and `bits` are at most 32 together.
    """
    codes = _codes(texts)
    starts = np.flatnonzero(codes == ord(_START))
    numbers = np.zeros(len(codes), dtype=np.uint32)
    numbers[starts[1:]] = 1 << bits
    numbers.cumsum(out=numbers)
    shift = np.uint32(32 - bits)
    keys = np.concatenate([(hashed >> shift) + numbers[: len(hashed)] for hashed in _hash(codes)])
    over = _reach_over(starts[1:], len(codes))
    keys[over] = _NO_RUN
    keys.sort()
    keys = keys[: len(keys) - len(over)]
    keys = keys.compress(_differ(keys))
    return keys & np.uint32((1 << bits) - 1), keys.searchsorted(np.arange(len(texts), dtype=np.uint32) << bits)


@dataclass(frozen=True, slots=True)
class Detector:
    """What was learned.

    Attributes:
        weights: of each bucket, float32, as many as a power of two; a file keeps eight bits of each.
        rules: the weight of each finding of the rules by its name.
        bias: added to every score.
        network: asked where the log odds are in doubt; None where the weights are all that was learned.
    """

    weights: NDArray[np.float32]
    rules: dict[str, float]
    bias: float
    network: Network | None = None

    def score(self, text: str, found: Collection[str]) -> float:
        """The log odds that the folded `text`, of which the rules found `found`, is what was learned."""
        buckets = distinct_runs(text, self._bits)
        # Weights are of half precision: their sum is exact in float64, in whatever order.
        total = float(self.weights.take(buckets).sum(dtype=np.float64))
        return self._with_network(self._log_odds(total, len(buckets), found), text)

    def score_each(self, texts: Sequence[str], found: Iterable[Collection[str]]) -> list[float]:
        """The same of each of many texts, in a fraction of the time; see `distinct_runs_of_each`."""
        buckets, starts = distinct_runs_of_each(texts, self._bits)
        totals = np.add.reduceat(self.weights.take(buckets), starts, dtype=np.float64)
        counts = np.diff(starts, append=len(buckets))
        log_odds = map(self._log_odds, totals.tolist(), counts.tolist(), found)
        return list(map(self._with_network, log_odds, texts))

    def _with_network(self, log_odds: float, text: str) -> float:
        if self.network is None or log_odds < DOUBT:
            return log_odds
        words, pairs, *_ = _hash_text(text)
        return log_odds + self.network.score(words, pairs)

    def _log_odds(self, total: float, runs: int, found: Collection[str]) -> float:
        return self.bias + total / runs**0.5 + sum(self.rules[name] for name in found)

    def weigh(self, text: str) -> NDArray[np.float64]:
        """How much each character of the folded `text` adds: a run's weight is shared by the words in it."""
        pieces = _WORD_OR_BLANKS.findall(text)
        words = np.array([not piece.isspace() for piece in pieces], dtype=bool)
        shares = np.zeros(np.count_nonzero(words) + 2)
        for length, buckets in zip(_LENGTHS, find_runs(text, self._bits), strict=True):
            weights = self.weights.take(buckets).astype(np.float64) / length
            for place in range(length):
                shares[place : place + len(weights)] += weights
        weight_of_pieces = np.zeros(len(pieces))
        weight_of_pieces[words] = shares[1:-1]
        return weight_of_pieces.repeat([len(piece) for piece in pieces])

    @property
    def _bits(self) -> int:
        return len(self.weights).bit_length() - 1


def save_detector(detector: Detector, path: Path) -> None:
    """Write it as one compressed file of arrays."""
    names = list(detector.rules)
    arrays: dict[str, Any] = {
        "weights": _shorten(detector.weights),
        "bias": detector.bias,
        "rule_names": np.array(names),
        "rule_weights": np.array([detector.rules[name] for name in names]),
    }
    if detector.network:
        arrays |= pack_network(detector.network)
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _shorten(weights: NDArray[np.float32]) -> NDArray[np.float16]:
    """The weights to seven bits after the first one: zeros in the place of the last three make a smaller file."""
    bits = weights.astype(np.float16).view(np.uint16)
    return ((bits + np.uint16(4)) & np.uint16(0xFFF8)).view(np.float16)


def load_detector(path: Path) -> Detector:
    """Read what `save_detector` wrote.

    Raises:
        OSError: it is not there.
        ValueError: it holds no detector.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            rules = dict(zip(arrays["rule_names"].tolist(), arrays["rule_weights"].tolist(), strict=True))
            network = unpack_network(arrays) if "words" in arrays else None
            return Detector(arrays["weights"].astype(np.float32), rules, float(arrays["bias"]), network)
    except (EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile, zlib.error):
        raise ValueError(f"{path} holds no detector; allowed: a file that benchmarks/care.py train wrote") from None


def _codes(texts: Sequence[str]) -> NDArray[np.uint32]:
    """A number for each word of the texts, those of each between those of a start and an end."""
    marked = _START + f"{_END}{_START}".join(texts) + _END
    parts = _LATIN.split(marked)
    if len(parts) > 1:
        marked = f" {_WHOLE} ".join(parts[::2])
    codes = np.frombuffer("".join(marked.split()).encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint32)
    if len(parts) > 1:
        codes[codes == ord(_WHOLE)] = [zlib.crc32(word.encode()) for word in parts[1::2]]
    return codes


@lru_cache(maxsize=1)
def _hash_text(text: str) -> list[NDArray[np.uint32]]:
    """`_hash` of one text, which its sum, the network and what its characters weigh ask for one after the other."""
    return _hash(_codes([text]))


def _hash(codes: NDArray[np.uint32]) -> list[NDArray[np.uint32]]:
    """A hash of each run, in its upper bits: of one word, of two, of three, of two with one between."""
    ones = codes * _M1
    twos = _mix(ones[:-1], codes[1:])
    threes = _mix(twos[:-1], codes[2:])
    apart = _mix(ones[:-2] ^ _M2, codes[2:])
    return [hashed * _M1 for hashed in (ones, twos, threes, apart)]


def _reach_over(starts: NDArray[np.int64], words: int) -> NDArray[np.int64]:
    """Where among the runs of so many words, as `_hash` gives them, those are reaching into a text from before."""
    twos = words + starts - 1
    threes = twos + words - 1
    apart = threes + words - 2
    return np.concatenate((twos, threes, threes - 1, apart, apart - 1))


def _differ(ordered: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Whether each number is another than the one before it."""
    return np.concatenate(([True], ordered[1:] != ordered[:-1]))


def _mix(hashed: NDArray[np.uint32], codes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    mixed = (hashed ^ (hashed >> np.uint32(15))) * _M2 + codes * _M3
    return mixed ^ (mixed >> np.uint32(13))
