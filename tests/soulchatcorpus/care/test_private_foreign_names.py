"""Names in Latin letters and those of China's other peoples."""

import pytest

from soulchatcorpus.care.private_foreign_names import find_dotted_names, find_latin_names, find_names_of_peoples


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("My name is Kevin Zhao", "Kevin Zhao"),
        ("实习生Amy跟领导打电话", "Amy"),
        ("我的名字是Wang Xiaoming，用拼音", "Wang Xiaoming"),
        ("Ms. Hung叫我", "Ms. Hung"),
    ],
)
def test_latin_names(text, name):
    assert [text[start:end] for _, start, end in find_latin_names(text)] == [name]


@pytest.mark.parametrize("text", ["My god, it is May", "I am Not Sure", "我用Word写"])
def test_capital_words_that_are_no_names(text):
    assert find_latin_names(text) == []


def test_names_of_peoples():
    text = "我姐米热古丽在那里，塔吉克族的人"
    assert [text[start:end] for _, start, end in find_names_of_peoples(text)] == ["米热古丽"]
    dotted = "同学买买提·艾力，《简·爱》"
    assert [dotted[start:end] for _, start, end in find_dotted_names(dotted)] == ["买买提·艾力"]


def test_a_curse_is_no_name():
    assert find_names_of_peoples("我叫尼玛") == [("name", 2, 4)]
    assert find_names_of_peoples("卧槽尼玛") == []
