"""The network: an exact score of a tiny one, what it reads, and what a file keeps of it."""

from dataclasses import fields, replace

import numpy as np
import pytest

from soulchatcorpus.care.detector import DOUBT, Detector, find_runs, load_detector, save_detector
from soulchatcorpus.care.network import APART, NEAR, POWER, Network, pack_network, unpack_network


def tiny(**arrays: np.ndarray) -> Network:
    """One of two buckets of words and of pairs, one dimension and one filter, all of it zero but what is given."""
    shapes = {
        "words": (2, 1),
        "pairs": (2, 1),
        "near": (NEAR, 1),
        "near_bias": (1,),
        "wide": (3, 1),
        "wide_bias": (1,),
        "out": (4,),
    }
    zeros = {name: np.zeros(shape, dtype=np.float32) for name, shape in shapes.items()}
    return Network(**(zeros | {name: np.array(values, dtype=np.float32) for name, values in arrays.items()}))


def hashes(*upper_bits: int) -> np.ndarray:
    return np.array(upper_bits, dtype=np.uint32) << np.uint32(31)


# The middle word of a filter's five alone.
MIDDLE = [[0], [0], [1], [0], [0]]


def test_strongest_and_mean_answer():
    network = tiny(words=[[0], [3]], near=MIDDLE, out=[1, 0, 0, 0.5])
    assert network.score(hashes(0, 1, 0, 1), hashes(0, 0, 0)) == 3.5
    mean = replace(network, out=np.array([0, 0, 1, 0], dtype=np.float32))
    assert mean.score(hashes(0, 1, 0, 1), hashes(0, 0, 0)) == pytest.approx(6 / 4**POWER)


def test_a_pair_stands_with_its_first_word():
    network = tiny(words=[[0], [1]], pairs=[[0], [4]], near=MIDDLE, out=[1, 0, 0, 0])
    assert network.score(hashes(1, 0, 0), hashes(1, 0)) == 5
    assert network.score(hashes(0, 1, 0), hashes(1, 0)) == 4


def test_a_filter_reads_its_neighbours_and_nothing_beyond_the_ends():
    network = tiny(words=[[0], [1]], near=[[1], [0], [-2], [0], [1]], out=[1, 0, 0, 0])
    assert network.score(hashes(1, 0, 0, 0, 1), hashes(0, 0, 0, 0)) == 2
    assert network.score(hashes(1), hashes()) == 0


def test_the_second_filter_reads_answers_four_words_apart():
    network = tiny(words=[[0], [1]], near=MIDDLE, wide=[[1], [0], [1]], wide_bias=[-1], out=[0, 1, 0, 0])
    apart = [0] * (2 * APART + 1)
    apart[0] = apart[-1] = 1
    assert network.score(hashes(*apart), hashes(*apart[1:]) * 0) == 1
    apart[0] = 0
    assert network.score(hashes(*apart), hashes(*apart[1:]) * 0) == 0


def drawn() -> Network:
    draw = np.random.default_rng(0)
    shapes = [(8, 4), (16, 4), (NEAR * 4, 6), (6,), (18, 6), (6,), (19,)]
    return Network(*(draw.normal(size=shape).astype(np.float32) for shape in shapes))


def test_a_file_keeps_it_to_a_step_of_its_vectors(tmp_path):
    network = drawn()
    kept = unpack_network(pack_network(network))
    for field in fields(Network):
        values = getattr(network, field.name)
        step = np.abs(values).max() / 127 if field.name in ("words", "pairs") else 2e-3
        assert np.abs(getattr(kept, field.name) - values).max() <= step
    save_detector(Detector(np.zeros(8, dtype=np.float32), {}, 0.0, network), tmp_path / "d.npz")
    read = load_detector(tmp_path / "d.npz")
    words, pairs, *_ = find_runs("我不想死", 32)
    assert read.network is not None
    assert read.score("我不想死", set()) == read.network.score(words, pairs) == kept.score(words, pairs)


def test_a_file_that_lacks_a_part_is_refused(tmp_path):
    packed = pack_network(drawn())
    del packed["out"]
    with (tmp_path / "d.npz").open("wb") as file:
        np.savez(file, weights=np.zeros(8), bias=0.0, rule_names=np.array([]), rule_weights=np.array([]), **packed)
    with pytest.raises(ValueError, match="holds no detector"):
        load_detector(tmp_path / "d.npz")


def test_it_is_asked_only_where_the_weights_are_in_doubt():
    network = tiny(out=[0, 0, 0, 10])
    below, above = (Detector(np.zeros(8, dtype=np.float32), {}, bias, network) for bias in (DOUBT - 0.1, DOUBT))
    assert below.score("想死", set()) == DOUBT - 0.1
    assert above.score("想死", set()) == DOUBT + 10
    assert above.score_each(["想死", "活"], [set(), set()]) == [above.score(text, set()) for text in ("想死", "活")]
