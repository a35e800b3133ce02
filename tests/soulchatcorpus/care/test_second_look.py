"""The second look at names: what is looked at, and that it is the network's answer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulchatcorpus.care.second_look import LOOKED_AT, WINDOW, SecondLook, load_second_look, look


@given(st.text(max_size=30), st.integers(0, 30), st.integers(1, 6))
def test_as_many_characters_are_looked_at_wherever_the_name_stands(text, start, length):
    start = min(start, len(text))
    assert len(look(text, "name", start, min(len(text), start + length))) == LOOKED_AT


@pytest.mark.parametrize(
    ("text", "name", "seen"),
    [
        ("我叫陈建国。", "陈建国", "\n\n\n\n\n\n我叫。\n\n\n\n\n\n\n陈建国建国0"),
        ("昨天\n小美说3点\n好", "小美", "\n\n\n\n\n\n\n\n说0点\n\n\n\n\n小美\n小美\n"),
        ("欧阳小美", "欧阳小美", "\n" * 16 + "欧阳小小美1"),
    ],
)
def test_what_is_looked_at(text, name, seen):
    start = text.index(name)
    assert look(text, "name", start, start + len(name)) == seen
    assert look(text, "address", start, start + len(name)) == seen[:-1] + "2"


def test_the_answer_is_that_of_the_network_within_limits():
    places = np.zeros(0x10000, dtype=np.uint16)
    places[ord("王")] = 1
    hidden = np.zeros((LOOKED_AT, 1), dtype=np.float32)
    hidden[2 * WINDOW] = 2
    network = SecondLook(
        places=places,
        vectors=np.array([[0], [3]], dtype=np.float32),
        hidden=hidden,
        hidden_bias=np.array([-1], dtype=np.float32),
        out=np.array([0.5], dtype=np.float32),
        out_bias=-1.0,
    )
    assert network.likelihood("王明", "name", 0, 2) == pytest.approx((3 * 2 - 1) * 0.5 - 1)
    assert network.likelihood("天𠮷", "name", 0, 2) == pytest.approx(-1)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("我男朋友志强昨天跟我吵架了|志强", "我堂哥昨天跟我吵架了|堂哥"),
        ("我和思远在一起三年了|思远", "头上笼着一块乌云|乌云"),
    ],
)
def test_names_are_likelier_than_words(name, word):
    def likelihood(example):
        text, _, part = example.partition("|")
        start = text.index(part)
        return load_second_look().likelihood(text, "name", start, start + len(part))

    assert likelihood(name) > likelihood(word) + 2
