"""The detector: exact scores of tiny ones, and what is refused as a file."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulchatcorpus.care.detector import (
    Detector,
    distinct_runs,
    distinct_runs_of_each,
    find_runs,
    load_detector,
    save_detector,
)


def tiny(text: str, weight: float = 1.0) -> Detector:
    """One whose only weights are those of the runs of `text`."""
    weights = np.zeros(2**10, dtype=np.float32)
    weights[distinct_runs(text, 10)] = weight
    return Detector(weights, {"rule": 3.0}, -1.0)


def test_runs_of_words():
    ones, twos, threes, apart = find_runs("想die 12", 18)
    assert [len(runs) for runs in (ones, twos, threes, apart)] == [5, 4, 3, 3]
    assert find_runs("die", 18)[0][1] == find_runs("想die", 18)[0][2]
    assert find_runs("", 18)[1].shape == (1,)


def test_score_is_the_sum_over_the_square_root():
    detector = tiny("想死")
    runs = len(distinct_runs("想死", 10))
    assert detector.score("想死", set()) == pytest.approx(-1 + runs / runs**0.5)
    assert detector.score("想死", {"rule"}) == pytest.approx(detector.score("想死", set()) + 3)


def test_what_each_character_weighs():
    weights = tiny("想死").weigh("今天想死")
    assert len(weights) == 4
    assert min(weights[2:]) > max(weights[:2])
    assert tiny("想").weigh("").tolist() == []
    of_words = tiny("想 die").weigh("想die")
    assert of_words[1] == of_words[2] == of_words[3] > 0
    assert tiny("想 die").weigh(" 想\ndie").tolist() == [0, of_words[0], 0, *of_words[1:]]


def test_written_and_read(tmp_path):
    save_detector(tiny("想死"), tmp_path / "d.npz")
    read = load_detector(tmp_path / "d.npz")
    assert read.score("我想死", {"rule"}) == tiny("想死").score("我想死", {"rule"})


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut"])
def test_what_is_no_detector_is_refused(tmp_path, content):
    path = tmp_path / "d.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="holds no detector; allowed: a file that"):
        load_detector(path)


def test_other_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "d.npz", weights=np.zeros(4))
    with pytest.raises(ValueError, match="holds no detector"):
        load_detector(tmp_path / "d.npz")


@given(st.lists(st.text(alphabet="想死不我的 ab12\n", max_size=9), min_size=1))
def test_many_at_once_are_scored_like_one_by_one(texts):
    buckets, starts = distinct_runs_of_each(texts, 10)
    ends = [*starts[1:], len(buckets)]
    assert [buckets[start:end].tolist() for start, end in zip(starts, ends, strict=True)] == [
        distinct_runs(text, 10).tolist() for text in texts
    ]
    detector, found = tiny("不想死 ab", 0.3125), [{"rule"} if "死" in text else set() for text in texts]
    assert detector.score_each(texts, found) == [detector.score(*row) for row in zip(texts, found, strict=True)]
