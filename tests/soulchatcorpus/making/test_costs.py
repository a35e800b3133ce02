"""Models by weight, and what they cost."""

from collections import Counter

import pytest

from soulchatcorpus.making.costs import estimate_prompts, estimate_tokens, read_models


def test_the_paper_s_mixture():
    models = read_models("gpt-3.5-turbo=99,gpt-4=1", [])
    chosen = Counter(models.choose(str(number)) for number in range(20_000))
    assert 0.007 < chosen["gpt-4"] / 20_000 < 0.013
    assert models.choose("17") == read_models("gpt-3.5-turbo=99,gpt-4=1", []).choose("17")


def test_prices_in_dollars_for_a_million_tokens():
    models = read_models("gpt-4,mine,org/name:tag", ["mine=1,2"])
    assert models.cost("gpt-4", 1_000_000, 0) == 30.0
    assert models.cost("mine", 500_000, 1_000_000) == 2.5
    assert models.cost("org/name:tag", 10, 10) == 0.0
    assert models.without_price == ["org/name:tag"]


@pytest.mark.parametrize(
    ("models", "prices"),
    [
        ("a=x", []),
        ("a=0", []),
        ("a=-1", []),
        ("", []),
        ("a", ["a=1"]),
        ("a", ["a=x,2"]),
        ("a", ["1,2"]),
        ("a", ["a=-1,2"]),
        ("a", ["a=inf,2"]),
    ],
)
def test_what_is_no_model_or_price(models, prices):
    with pytest.raises(ValueError, match=r"^(model|price) is .*; allowed: NAME"):
        read_models(models, prices)


def test_tokens():
    assert estimate_tokens("") == 1
    assert estimate_tokens("难过" * 50) == 111
    assert estimate_tokens("word" * 100) == 101


def test_an_estimate_adds_up_what_is_sent_and_what_is_expected():
    found = estimate_prompts([("a", "abcdefgh"), ("b", "abcd")], read_models("m", ["m=1000000,2000000"]), 10)
    assert (found.records, found.characters, found.prompt_tokens, found.completion_tokens) == (2, 12, 5, 20)
    assert found.cost == pytest.approx(5 * 1 + 20 * 2)
