"""Sketches estimate how alike two texts are, and near texts are found among many."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulchatcorpus.sketch import HASHES, NEAR, RUN, find_near, hash_runs, sketch, squeeze

LETTERS = [chr(0x4E00 + number) for number in range(600)]


def random_text(draw: random.Random, length: int = 200) -> str:
    return "".join(draw.choices(LETTERS, k=length))


def jaccard(one: str, other: str) -> float:
    these, those = ({text[i : i + RUN] for i in range(len(text) - RUN + 1)} for text in (one, other))
    return len(these & those) / len(these | those)


def test_equal_runs_have_equal_hashes_and_short_texts_none() -> None:
    assert len(hash_runs("我睡不")) == 0
    one, other = hash_runs("我最近睡不好觉"), hash_runs("他说我最近睡不好觉了")
    assert len(one) == 3
    assert set(one.tolist()) <= set(other.tolist())


def test_white_space_is_no_part_of_a_text() -> None:
    assert squeeze(" 我 最近\n睡不好 ") == "我最近睡不好"


@given(st.lists(st.text(max_size=40), min_size=1, max_size=8))
def test_a_text_has_the_same_sketch_in_any_company(texts: list[str]) -> None:
    together = sketch(texts)
    assert together.shape == (len(texts), HASHES)
    for number, text in enumerate(texts):
        assert (together[number] == sketch([text])[0]).all()


@pytest.mark.parametrize("changed", [0, 2, 10, 60])
def test_the_share_of_equal_numbers_estimates_similarity(changed: int) -> None:
    draw = random.Random(changed)
    errors = []
    for _ in range(40):
        text = random_text(draw)
        letters = list(text)
        for place in draw.sample(range(len(letters)), changed):
            letters[place] = draw.choice(LETTERS)
        other = "".join(letters)
        one, two = sketch([text, other])
        errors.append((one == two).mean() - jaccard(text, other))
    assert abs(np.mean(errors)) < 0.04


def test_near_texts_are_found_and_others_are_not() -> None:
    draw = random.Random(1)
    others = [random_text(draw) for _ in range(300)]
    changed = [text[:90] + "嗯" + text[91:] for text in others[:100]]
    strangers = [random_text(draw) for _ in range(100)]
    rows, share = find_near(sketch([*changed, *strangers]), sketch(others))
    assert rows[:100].tolist() == list(range(100))
    assert (share[:100] >= NEAR).all()
    assert (rows[100:] == -1).all()
    assert (share[100:] == 0).all()


def test_a_text_too_short_for_a_run_is_near_to_none() -> None:
    rows, _ = find_near(sketch(["你好", ""]), sketch(["你好", "", "我最近睡不好觉"]))
    assert rows.tolist() == [-1, -1]


def test_many_equal_texts_do_not_hide_the_best() -> None:
    text = random_text(random.Random(3))
    rows, share = find_near(sketch([text]), sketch([text] * 500))
    assert rows[0] >= 0
    assert share[0] == 1


def test_of_long_texts_a_part_of_the_runs_is_enough() -> None:
    draw = random.Random(4)
    text = random_text(draw, 3000)
    one, two = sketch([text, text[:1500] + "嗯" + text[1500:]], one_in=8)
    assert (one == two).mean() > 0.9
