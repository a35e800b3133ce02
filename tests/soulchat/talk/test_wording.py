import pytest

from soulchat.talk.limits import Limits, OverLimit
from soulchat.talk.page_words import LABELS, explain
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


def words_of(label: dict) -> list[str]:
    return [text for text in label.values() if isinstance(text, str)] + [e["text"] for e in label.get("examples", [])]


def test_every_word_of_the_page_is_there_in_both_languages():
    assert {name: label.keys() for name, label in LABELS["zh"].items()} == {
        name: label.keys() for name, label in LABELS["en"].items()
    }
    for language in ("zh", "en"):
        assert {language_of(text) for label in LABELS[language].values() for text in words_of(label)} == {language}
    assert {language: language_of(text) for language, text in (NO_REPLY | NOTICE).items()} == {"zh": "zh", "en": "en"}


@pytest.mark.parametrize(
    ("error", "message", "chinese", "english"),
    [
        (ValueError("the message is empty"), " ", "无法回复：消息是空的", "No reply: the message is empty"),
        (
            ValueError("too long"),
            "长" * 4_001,
            "无法回复：这条消息有 4,001 个字，最多 4,000 个",
            "No reply: too long",
        ),
        (OverLimit("too fast"), "在吗", "请稍后再试：", "Please try again in a moment: too fast"),
        (RuntimeError("it failed"), "在吗", "无法回复：模型出了故障。", "No reply: it failed"),
        (ValueError("seed is -1"), "在吗", "无法回复：这条消息或采样设置无法处理", "No reply: seed is -1"),
        (KeyError("somebody's words"), "在吗", "无法回复：KeyError", "No reply: KeyError"),
    ],
)
def test_why_there_is_no_reply_is_told_in_one_language(error, message, chinese, english):
    assert explain(error, message, Limits(), "zh").startswith(chinese)
    assert explain(error, message, Limits(), "en") == english
