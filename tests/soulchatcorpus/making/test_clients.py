"""Clients of a rewriting: stated ones are taken as they are, the others drawn by the distribution that is stated."""

from collections import Counter

import pytest

from soulchatcorpus.clients import TRAITS, describe_client
from soulchatcorpus.making.clients import choose_client
from soulchatcorpus.making.options import read_levels

EVEN = "low=1,medium=1,high=1"


def test_a_stated_client_is_kept():
    stated = {"age_group": "18-25", "neuroticism": "high"}
    assert choose_client({"id": "1", "client": stated}, EVEN, 0) == stated


def test_a_draw_depends_on_seed_and_id_alone():
    one = choose_client({"id": "1", "question": "问"}, EVEN, 0)
    assert list(one) == list(TRAITS)
    assert one == choose_client({"id": "1", "question": "别的"}, EVEN, 0)
    assert len({describe_client(choose_client({"id": str(n)}, EVEN, 0)) for n in range(20)}) > 10
    assert any(one != choose_client({"id": "1"}, EVEN, seed) for seed in range(1, 4))


def test_the_stated_distribution_is_drawn_from():
    drawn = Counter(level for n in range(400) for level in choose_client({"id": str(n)}, "low=1,high=3", 0).values())
    assert drawn["medium"] == 0
    assert abs(drawn["high"] / 2000 - 0.75) < 0.04


@pytest.mark.parametrize("levels", ["", "low", "low=x", "low=-1", "huge=1", "low=0,high=0", "low=inf", "low=nan"])
def test_levels_that_are_none(levels):
    with pytest.raises(ValueError, match=r"levels is .*; allowed: low=WEIGHT,medium=WEIGHT,high=WEIGHT"):
        read_levels(levels)
