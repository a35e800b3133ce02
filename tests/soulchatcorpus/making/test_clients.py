"""Clients: stated ones are taken as they are, the others drawn by the distribution that is stated."""

from collections import Counter

import pytest

from soulchatcorpus.making.clients import TRAITS, Client, choose_client
from soulchatcorpus.making.options import read_levels

EVEN = "low=1,medium=1,high=1"


def test_a_stated_client_is_kept():
    client = choose_client({"id": "1", "client": {"age": "18-25", "neuroticism": "high", "gender": None}}, EVEN, 0)
    assert client == Client(age="18-25", neuroticism="high")
    assert client.describe() == "年龄：18-25\n神经质：高"


def test_a_draw_depends_on_seed_and_id_alone():
    one = choose_client({"id": "1", "question": "问"}, EVEN, 0)
    assert one == choose_client({"id": "1", "question": "别的"}, EVEN, 0)
    assert len({choose_client({"id": str(n)}, EVEN, 0).describe() for n in range(20)}) > 10
    assert any(one != choose_client({"id": "1"}, EVEN, seed) for seed in range(1, 4))


def test_the_stated_distribution_is_drawn_from():
    drawn = Counter(
        getattr(choose_client({"id": str(n)}, "low=1,high=3", 0), trait) for n in range(400) for trait in TRAITS
    )
    assert drawn["medium"] == 0
    assert abs(drawn["high"] / 2000 - 0.75) < 0.04


@pytest.mark.parametrize(
    ("client", "told"),
    [
        ({"courage": "high"}, "option 'courage' is unknown; allowed: age, gender, occupation, openness"),
        ({"openness": "huge"}, "openness is 'huge'; allowed: 'low', 'medium' or 'high'"),
        ("young", "client of record '1' is 'young'; allowed: an object"),
    ],
)
def test_an_unknown_trait_or_level(client, told):
    with pytest.raises(ValueError, match=told):
        choose_client({"id": "1", "client": client}, EVEN, 0)


@pytest.mark.parametrize("levels", ["", "low", "low=x", "low=-1", "huge=1", "low=0,high=0", "low=inf", "low=nan"])
def test_levels_that_are_none(levels):
    with pytest.raises(ValueError, match=r"levels is .*; allowed: low=WEIGHT,medium=WEIGHT,high=WEIGHT"):
        read_levels(levels)
