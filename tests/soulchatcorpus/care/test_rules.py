"""The rules of crisis.toml: which words they find and how these are meant."""

import pytest

from soulchatcorpus.care.evasive import read_plainly
from soulchatcorpus.care.rules import find_words, names_of_words


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("我想自杀", ["suicide meant"]),
        ("我没有想过自杀", ["suicide denied"]),
        ("小说里的主角自杀了", ["suicide told"]),
        ("室友说她想割腕", ["suicide another"]),
        ("哈哈，我想去死", ["suicide joking"]),
        ("笑死我了", ["idiom"]),
        ("又划了自己几刀", ["self_harm meant"]),
        ("再也不想醒来", ["death_wish meant"]),
        ("他叫我去死", ["incitement another"]),
        ("I want to die", ["suicide meant"]),
        ("猫死了", ["death meant"]),
    ],
)
def test_found(text, names):
    assert [words.name for words in find_words(read_plainly(text).text)] == names


def test_every_name_is_known():
    assert len(set(names_of_words())) == len(names_of_words()) == 26
