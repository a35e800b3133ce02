"""A small learned detector: a weight for every run of up to three words, and for what the rules found.

Chinese characters, Latin words and numbers are the words. Each run of one, two or three of them, and each pair with
one word between, has a weight in a table that a hash looks up (Weinberger et al., 2009, "Feature Hashing for Large
Scale Multitask Learning"); the sum of a text's weights over the square root of their number is a logistic
regression's log odds. `benchmarks/care.py train` learns the weights.
"""

import re
import zipfile
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# Which pair of words each kind of run hashes: in order, one word, two, three, and two with one between.
_LENGTHS = (1, 2, 3, 3)
_WORD = re.compile(r"[a-z']+|[0-9]+|[^\sa-z0-9']")
_LATIN = re.compile(r"[a-z']{2,}|[0-9]{2,}")
# Stand for the start and the end of a text, and for a word of several characters.
_START, _END, _WHOLE = "\x02", "\x03", "\x01"
_M1, _M2, _M3 = np.uint32(2654435761), np.uint32(2246822519), np.uint32(3266489917)


def find_runs(text: str, bits: int) -> list[NDArray[np.uint32]]:
    """The bucket, of 2 to the `bits`, of every run of words of a folded text, start and end being words of their own.

    Four arrays: the words alone, the runs of two and of three, and the pairs with one word between; each in the order
    of the text.
    """
    codes = _codes(text)
    ones = codes * _M1
    twos = _mix(ones[:-1], codes[1:])
    threes = _mix(twos[:-1], codes[2:])
    apart = _mix(ones[:-2] ^ _M2, codes[2:])
    shift = np.uint32(32 - bits)
    return [(hashed * _M1) >> shift for hashed in (ones, twos, threes, apart)]


def distinct_runs(text: str, bits: int) -> NDArray[np.uint32]:
    """The buckets of all runs of a folded text, each once, in rising order."""
    buckets = np.concatenate(find_runs(text, bits))
    buckets.sort()
    return buckets[np.concatenate(([True], buckets[1:] != buckets[:-1]))]


@dataclass(frozen=True, slots=True)
class Detector:
    """What was learned.

    Attributes:
        weights: of each bucket, float32, as many as a power of two; a file keeps half of their precision.
        rules: the weight of each finding of the rules by its name.
        bias: added to every score.
    """

    weights: NDArray[np.float32]
    rules: dict[str, float]
    bias: float

    def score(self, text: str, found: Collection[str]) -> float:
        """The log odds that the folded `text`, of which the rules found `found`, is what was learned."""
        buckets = distinct_runs(text, self._bits)
        total = float(self.weights[buckets].sum()) / len(buckets) ** 0.5
        return self.bias + total + sum(self.rules[name] for name in found)

    def weigh(self, text: str) -> list[float]:
        """How much each character of the folded `text` adds: a run's weight is shared by the words in it."""
        spans = [match.span() for match in _WORD.finditer(text)]
        shares = np.zeros(len(spans) + 2)
        for length, buckets in zip(_LENGTHS, find_runs(text, self._bits), strict=True):
            weights = self.weights[buckets].astype(np.float64) / length
            for place in range(length):
                shares[place : place + len(weights)] += weights
        characters = [0.0] * len(text)
        for (start, end), share in zip(spans, shares[1:-1].tolist(), strict=True):
            characters[start:end] = [share] * (end - start)
        return characters

    @property
    def _bits(self) -> int:
        return len(self.weights).bit_length() - 1


def save_detector(detector: Detector, path: Path) -> None:
    """Write it as one compressed file of arrays."""
    names = list(detector.rules)
    with path.open("wb") as file:
        np.savez_compressed(
            file,
            weights=detector.weights.astype(np.float16),
            bias=detector.bias,
            rule_names=np.array(names),
            rule_weights=np.array([detector.rules[name] for name in names]),
        )


def load_detector(path: Path) -> Detector:
    """Read what `save_detector` wrote.

    Raises:
        OSError: it is not there.
        ValueError: it holds no detector.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            rules = dict(zip(arrays["rule_names"].tolist(), arrays["rule_weights"].tolist(), strict=True))
            return Detector(arrays["weights"].astype(np.float32), rules, float(arrays["bias"]))
    except (EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile, zlib.error):
        raise ValueError(f"{path} holds no detector; allowed: a file that benchmarks/care.py train wrote") from None


def _codes(text: str) -> NDArray[np.uint32]:
    """A number for each word of a text, between those of its start and its end."""
    words = _LATIN.findall(text)
    if words:
        text = _LATIN.sub(f" {_WHOLE} ", text.replace(_WHOLE, ""))
    marked = _START + "".join(text.split()) + _END
    codes = np.frombuffer(marked.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint32)
    if words:
        codes[codes == ord(_WHOLE)] = [zlib.crc32(word.encode()) for word in words]
    return codes


def _mix(hashed: NDArray[np.uint32], codes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    mixed = (hashed ^ (hashed >> np.uint32(15))) * _M2 + codes * _M3
    return mixed ^ (mixed >> np.uint32(13))
