"""A small convolutional network: it reads what stands beside what, where the detector's sum of weights is in doubt.

Words and pairs of words are vectors; a filter reads five neighbours, a second one what the first found four words
before, here and four words after; the text's score comes of each filter's strongest and mean answer (Kim, 2014,
"Convolutional Neural Networks for Sentence Classification"). So a short clause that tells weighs the same among much
or little else, which a sum over the text cannot say. `benchmarks/care_network.py` learns it with torch; reading needs
numpy alone.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

# A filter reads so many words, the second one the answers so many words apart.
NEAR = 5
APART = 4
# Sums over a text are divided by this power of its length: a mean that lets long texts answer a little louder.
POWER = 0.75


@dataclass(frozen=True, slots=True)
class Network:
    """What was learned; all of float32.

    Attributes:
        words: a vector for each bucket of words, (2 to some bits, dimensions).
        pairs: the same for pairs of neighbours, (2 to as many bits or more, dimensions).
        near: the first filters, (`NEAR` times dimensions, filters), and `near_bias`, (filters).
        wide: the second ones, (3 times filters, filters), and `wide_bias`, (filters).
        out: what each answer weighs, (3 times filters + 1), the last being added to every score.
    """

    words: NDArray[np.float32]
    pairs: NDArray[np.float32]
    near: NDArray[np.float32]
    near_bias: NDArray[np.float32]
    wide: NDArray[np.float32]
    wide_bias: NDArray[np.float32]
    out: NDArray[np.float32]

    def score(self, words: NDArray[np.uint32], pairs: NDArray[np.uint32]) -> float:
        """What the text adds to the log odds, of hashes of its words and pairs in the upper bits of 32.

        Args:
            words: (words,) those of its start and end among them.
            pairs: (words - 1,).
        """
        length, dimensions = len(words), self.words.shape[1]
        read = np.zeros((length + NEAR - 1, dimensions), dtype=np.float32)
        inside = read[NEAR // 2 : NEAR // 2 + length]
        inside += self.words.take(words >> _shift(self.words), axis=0)
        inside[:-1] += self.pairs.take(pairs >> _shift(self.pairs), axis=0)
        near = np.concatenate([read[start : start + length] for start in range(NEAR)], axis=1)
        found = np.maximum(near @ self.near + self.near_bias, 0)
        around = np.zeros((length + 2 * APART, found.shape[1]), dtype=np.float32)
        around[APART:-APART] = found
        wide = np.concatenate([around[start : start + length] for start in (0, APART, 2 * APART)], axis=1)
        wider = np.maximum(wide @ self.wide + self.wide_bias, 0)
        answers = (found.max(axis=0), wider.max(axis=0), found.sum(axis=0) / length**POWER)
        return float(np.concatenate(answers) @ self.out[:-1] + self.out[-1])


def pack_network(network: Network) -> dict[str, NDArray[np.generic]]:
    """Arrays for a file: vectors in 8 bits with the step of each dimension, all else in half precision."""
    packed: dict[str, NDArray[np.generic]] = {}
    for field in fields(network):
        values = getattr(network, field.name)
        if field.name in ("words", "pairs"):
            steps = np.maximum(np.abs(values).max(axis=0), 1e-9) / 127
            packed |= {field.name: np.rint(values / steps).astype(np.int8), f"{field.name}_steps": steps}
        else:
            packed[field.name] = values.astype(np.float16)
    return packed


def unpack_network(packed: dict[str, NDArray[np.generic]]) -> Network:
    """The network of what `pack_network` gave.

    Raises:
        KeyError: an array is missing.
    """
    arrays = {field.name: packed[field.name].astype(np.float32) for field in fields(Network)}
    for name in ("words", "pairs"):
        arrays[name] *= packed[f"{name}_steps"].astype(np.float32)
    return Network(**arrays)


def _shift(vectors: NDArray[np.float32]) -> np.uint32:
    return np.uint32(32 - (len(vectors).bit_length() - 1))
