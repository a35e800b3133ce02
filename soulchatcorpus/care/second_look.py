"""Whether what was read as a name, an address or an organisation is one: what stands in it, before it and after it.

A small neural network: a vector for each of these characters, one layer of hidden units, one number. Other than the
traits of the labeller, vectors know which characters are alike, and where people stand in a sentence, whoever they
are. `benchmarks/care_second_look.py` learns it.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# How many characters are looked at before and after a detail, at its beginning and at its end.
WINDOW, FIRST, LAST = 8, 3, 2
# And one more for its kind and length.
LOOKED_AT = 2 * WINDOW + FIRST + LAST + 1
_NOTHING = "\n"
# Instead of the length.
_OF_KIND = {"address": "2", "organisation": "3"}
# Of the doubts so much counts, for and against.
_LIMITS = (-8.0, 6.0)


@dataclass(frozen=True, slots=True)
class SecondLook:
    """What was learned.

    Attributes:
        places: of each code point the row of its vector; 0 for those that were not met.
        vectors: (characters, dimensions).
        hidden: the weights of the hidden units: (`LOOKED_AT` * dimensions, units); `hidden_bias` is added.
        out: the weight of each unit; `out_bias` is added.
    """

    places: NDArray[np.uint16]
    vectors: NDArray[np.float32]
    hidden: NDArray[np.float32]
    hidden_bias: NDArray[np.float32]
    out: NDArray[np.float32]
    out_bias: float

    def likelihood(self, text: str, kind: str, start: int, end: int) -> float:
        """The log odds, within limits, that such a detail stands in a folded text from `start` to before `end`."""
        codes = np.array([min(ord(character), 0xFFFF) for character in look(text, kind, start, end)])
        seen = self.vectors[self.places[codes]].ravel()
        units = np.maximum(seen @ self.hidden + self.hidden_bias, 0)
        return float(np.clip(units @ self.out + self.out_bias, *_LIMITS))


def look(text: str, kind: str, start: int, end: int) -> str:
    """The `LOOKED_AT` characters that are looked at: nothing beyond a line break, and all digits are one."""
    before = text[max(0, start - WINDOW) : start].rpartition("\n")[2]
    return surroundings(kind, before, text[start:end], text[end : end + WINDOW].partition("\n")[0])


def surroundings(kind: str, before: str, detail: str, after: str) -> str:
    """The same, of what was read and what stands on its line."""
    length = _NOTHING if len(detail) < 3 else "0" if len(detail) == 3 else "1"
    length = _OF_KIND.get(kind, length)
    inside = detail[:FIRST].ljust(FIRST, _NOTHING) + detail[-LAST:].rjust(LAST, _NOTHING)
    around = before[-WINDOW:].rjust(WINDOW, _NOTHING) + after[:WINDOW].ljust(WINDOW, _NOTHING) + inside
    return around.translate(_ONE_DIGIT) + length


_ONE_DIGIT = str.maketrans("123456789", "000000000")


@cache
def load_second_look() -> SecondLook:
    """The network that comes with the package."""
    with np.load(Path(str(files(__package__).joinpath("second_look.npz"))), allow_pickle=False) as arrays:
        places = np.zeros(0x10000, dtype=np.uint16)
        places[arrays["characters"]] = np.arange(1, len(arrays["characters"]) + 1)
        return SecondLook(
            places=places,
            vectors=arrays["vectors"] * arrays["vector_step"],
            hidden=arrays["hidden"] * arrays["hidden_step"],
            hidden_bias=arrays["hidden_bias"].astype(np.float32),
            out=arrays["out"].astype(np.float32),
            out_bias=float(arrays["out_bias"]),
        )
