"""The first-character index finds what one alternation of all rules would find."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulchatcorpus.patterns import first_character_index, list_opening

GROUPS = [["ab", "[bc]a+"], ["abc", "d(?:e|f)?g"], ["cc"]]


def test_the_group_of_each_match():
    pattern, index = first_character_index(GROUPS)
    found = [(match[0], index[match.lastindex - 1]) for match in pattern.finditer("abc dg dfg cc baa")]
    # Letters of a word's middle do not start a match, and the earlier group wins: ab, not abc.
    assert found == [("ab", 0), ("dg", 1), ("dfg", 1), ("cc", 2), ("baa", 0)]


@pytest.mark.parametrize("rule", ["(?:a|b)", "a?b", ".a", "", "^a", "a*"])
def test_rules_without_a_first_character_are_refused(rule):
    with pytest.raises(ValueError, match="begins with neither"):
        first_character_index([[rule]])


words = st.text(alphabet="你我死活不想", min_size=1, max_size=4)


@given(st.lists(words, min_size=1, max_size=40, unique=True), st.text(alphabet="你我死活不想了", max_size=60))
def test_the_same_as_an_alternation(phrases, text):
    pattern, _ = first_character_index([phrases])
    alternation = re.compile("|".join(phrases))
    assert [m.span() for m in pattern.finditer(text)] == [m.span() for m in alternation.finditer(text)]


@pytest.mark.parametrize(
    ("pattern", "opening"),
    [
        ("ab", ["[a]", "[b]", "."]),
        ("[ab]c?d", ["[ab]", "[cd]"]),
        ("a(?:b|[cd]e)?f", ["[a]", "[bcdf]"]),
        ("a(?:b|c?)", ["[a]", "."]),
        ("a(?:b|c)*d", ["[a]", "."]),
        ("a(?<=a)(?!x)b", ["[a]", "[b]"]),
        ("a[^b]c", ["[a]", "."]),
        ("a", ["[a]", "."]),
    ],
)
def test_what_a_match_begins_with(pattern, opening):
    assert list_opening(pattern) == opening


def test_a_group_without_end_is_refused():
    with pytest.raises(ValueError, match="is open; allowed: groups that end"):
        list_opening("a(?:b")
