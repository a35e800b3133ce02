"""Evasive spellings: read for the words that they stand for, and left alone where they have their ordinary meaning."""

import pytest

from soulchatcorpus.care.crisis import find_crisis
from soulchatcorpus.care.evaluate import count, read_labelled
from soulchatcorpus.care.evasive import read_plainly
from tests.paths import ROOT


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("我想紫砂", "我想自杀"),
        ("想zs", "想自杀"),
        ("自鲨", "自杀"),
        ("自sha", "自杀"),
        ("想4了", "想死了"),
        ("想si", "想死"),
        ("s了算了", "死了算了"),
        ("好想亖", "好想死"),
        ("想歹匕", "想死"),
        ("割w了", "割腕了"),
        ("想跳l", "想跳楼"),
        ("wo xiang si", "我想死"),
        ("🔪💊", "刀药"),
        ("unalive myself", "kill myself"),
        ("unalive", "kill myself"),
        ("KMS", "kill myself"),
        ("su1cide", "suicide"),
        ("我想重开了", "我想想死了重来了"),
        ("想上d", "想上吊"),
        ("想自刀", "想自杀"),
        ("想领盒饭了", "想死了"),
        ("想西内", "想死"),
        ("想逝一逝", "想死一逝"),
        ("相心歹匕", "想死"),
        ("足兆木娄", "跳楼"),
        ("自乂木", "自杀"),
        ("想自*", "想自杀"),
        ("gonna off myself", "gonna kill myself"),
        ("diiiie", "die"),
        ("zi4 sha1", "自杀"),
        ("想死磕到底", "想硬拼到底"),
        ("我想死心了", "我想放下了"),
        ("他自杀青以后", "他自拍完以后"),
    ],
)
def test_read_for_the_word(text, plain):
    assert read_plainly(text).text == plain


@pytest.mark.parametrize(
    "text",
    [
        "泡茶用紫砂壶",
        "zs是战士还是法师",
        "想4点起床",
        "买了4个",
        "这局不行,重开",
        "class",
        "看了tl",
        "他的嘎啦苹果",
        "老鼠",
        "去领盒饭",
        "上d站",
        "来自鲨鱼和来自沙漠",
        "自s系列",
        "想s码应该够了",
        "轻s型",
        "it is 20 kms",
        "a few kms away",
        "took the day off myself",
        "my ctb exam",
    ],
)
def test_ordinary_meaning_stays(text):
    assert read_plainly(text).text == text


def test_span_is_that_of_the_spelling():
    text = "今天又想 Z S 了"
    folded = read_plainly("今天又想紫 砂了")
    start = folded.text.index("自杀")
    assert "今天又想紫 砂了"[slice(*folded.original(start, start + 2))] == "紫 砂"
    assert len(text) == 10


def test_spellings_by_another_hand_and_harmless_uses_of_the_same_strings():
    counts = count(read_labelled(ROOT / "tests" / "fixtures" / "talk" / "spellings.jsonl"), find_crisis)[""]
    assert (counts.positive, counts.negative) == (60, 60)
    assert counts.found >= 57
    assert counts.false_alarms <= 12
