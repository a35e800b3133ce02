"""A sieve lets everything pass that the patterns find, and finds the same with them in many texts at once."""

import re
import tomllib
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulchatcorpus.patterns import first_character_index
from soulchatcorpus.sieve import BITS, RuleIndex, Sieve, numbers_of
from tests.paths import ROOT


def test_each_group_has_its_bit():
    sieve = Sieve([[("[ab]", "c")], [("x",), ("y",)]])
    assert sieve.sift("acbdxb").tolist() == [1, 0, 0, 0, 2, 1]  # at the end the c may follow
    assert sieve.sift("").tolist() == []


def test_a_character_beyond_the_tables_passes():
    assert Sieve([[("[🔪]", "刀")]]).sift("🔪刀刀").tolist()[0] == 1


def test_groups_share_their_classes():
    assert Sieve([[("a", "b"), ("c", "d")]]).sift("adbb").tolist()[:2] == [1, 0]


def test_no_more_groups_than_bits():
    with pytest.raises(OverflowError):
        Sieve([[("a",)]] * (BITS + 1))


def test_the_number_of_the_text_of_each_place():
    assert numbers_of([0, 1, 2, 5], [0, 2, 2]) == [0, 0, 2, 2]


def rules_of(path: str) -> list[str]:
    rows = tomllib.loads((ROOT / "soulchatcorpus" / path).read_text(encoding="utf-8"))
    if "rule" in rows:
        return list(chain.from_iterable(row["patterns"] for row in rows["rule"]))
    if "word" in rows:
        return list(chain.from_iterable(row["written"] for row in rows["word"]))
    return list(chain.from_iterable(rows.values()))


RULES = [rules_of(path) for path in ("care/crisis.toml", "care/evasive.toml", "making/phrases.toml")]
PIECES = sorted({piece for rules in RULES for rule in rules for piece in re.findall(r"[^\[\](){}.*+?|^$\\]+", rule)})


@pytest.mark.parametrize("rules", RULES)
@given(texts=st.lists(st.lists(st.one_of(st.sampled_from(PIECES), st.characters()), max_size=12).map("".join)))
def test_the_same_as_a_search_of_each_text(rules, texts):
    groups = [rules[::2], rules[1::2]]
    pattern, index = first_character_index(groups)
    found = RuleIndex(groups).find_in_each(texts)
    assert [[(number, match.span()) for number, match in of_text] for of_text in found] == [
        [(index[(match.lastindex or 0) - 1], match.span()) for match in pattern.finditer(text)] for text in texts
    ]
