import pytest

from soulchat.talk.page_words import EXAMPLES, LABELS
from soulchat.talk.wording import NO_REPLY, NOTICE, language_of


@pytest.mark.parametrize(
    ("text", "language"),
    [("我很难过", "zh"), ("help me", "en"), ("", "en"), ("I feel 难过", "zh"), ("𠮷", "zh"), ("😀", "en")],
)
def test_languages(text, language):
    assert language_of(text) == language


def test_the_notice_says_what_the_ethics_statement_asks():
    assert "人工智能" in NOTICE["zh"]
    assert "仅供参考" in NOTICE["zh"]
    assert "AI model" in NOTICE["en"]
    assert "for reference only" in NOTICE["en"]


def test_every_word_of_the_page_is_there_in_both_languages():
    assert LABELS["zh"].keys() == LABELS["en"].keys()
    assert LABELS["zh-CN"] is LABELS["zh"]
    assert {language_of(text) for text in LABELS["zh"].values()} <= {"zh", "en"}
    assert all(language_of(text) == "en" for text in LABELS["en"].values())
    assert {language: language_of(text) for language, text in (NO_REPLY | NOTICE).items()} == {"zh": "zh", "en": "en"}
    assert {language_of(text) for text in EXAMPLES} == {"zh", "en"}
