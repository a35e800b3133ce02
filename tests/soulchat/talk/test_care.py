"""Care: which messages bring help lines, in which language."""

import pytest
from datatrove.data import Document

from soulchat.talk.care import Care
from soulchatcorpus.care.crisis import find_crisis
from soulchatcorpus.making.options import CleanOptions
from soulchatcorpus.making.steps import find_crisis_content


def test_message_about_suicide_brings_help_lines_in_its_language():
    chinese, english = Care().check_message("我不想活了，想自杀"), Care().check_message("I want to kill myself")
    assert (chinese.cause, chinese.category, chinese.language) == ("message", "suicide", "zh")
    assert "12356" in chinese.text
    assert (english.language, "988" in english.text) == ("en", True)


def test_calm_message_brings_none():
    assert Care().check_message("我最近总觉得自己很焦虑，身心俱疲。") is None


def test_care_can_be_switched_off_and_have_a_country():
    assert Care(enabled=False).check_message("我想自杀") is None
    assert "台湾：安心专线 1925" in Care(country="TW").check_message("我想自杀").text
    with pytest.raises(ValueError, match="no help lines for country"):
        Care(country="Atlantis")


def test_notice_as_data():
    row = Care().notice_for_reply("你好").as_dict()
    assert (row["cause"], row["category"]) == ("reply", "self_harm_in_reply")
    assert row["help_lines"][0]["number"] == "12356"
    assert row["text"].count("\n") > 2


def test_threshold_and_a_model_beside():
    assert Care(threshold=1.0).check_message("我不想活了，想自杀") is None
    beside = Care(threshold=1.0, model=lambda text: "自杀计划" if "桥" in text else None)
    assert beside.check_message("我在桥上").category == "自杀计划"
    assert beside.check_message("你好") is None
    with pytest.raises(ValueError, match=r"the crisis threshold is 2; allowed: 0 to 1"):
        Care(threshold=2)


@pytest.mark.parametrize(
    "text",
    [
        "我想紫砂",
        "我不想活了，想自杀",
        "想４了",
        "又割w了",
        "我没有想过自杀",
        "笑死我了",
        "今天天气很好",
        "I am suicidal",
    ],
)
def test_same_verdict_for_corpus_and_chat(text):
    finding, notice = find_crisis(text), Care().check_message(text)
    record: dict = {"messages": [{"role": "user", "content": text}]}
    list(find_crisis_content([Document(text=text, id="1", metadata={"record": record})], CleanOptions()))
    assert record.get("labels", {}).get("crisis") == (notice and notice.category) == (finding and finding.category)
