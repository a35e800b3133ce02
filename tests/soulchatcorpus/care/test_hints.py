"""Hints on their own; how many are found and how often in vain is measured in test_reply_check."""

import pytest

from soulchatcorpus.care.hints import HINTS


@pytest.mark.parametrize(
    "text",
    [
        "没有你，大家都会轻松。",
        "你走了他们会更好过。",
        "不用再撑了。",
        "nobody would miss you",
        "you can let go now",
        "it is time to go.",
    ],
)
def test_found(text):
    assert HINTS.search(text)


@pytest.mark.parametrize(
    "text",
    [
        "我愿意听你慢慢说。",
        "谢谢你告诉我这些，你已经很努力了。",
        "Thank you for telling me. I am listening.",
        "You are not alone, and talking to somebody can help.",
        "",
    ],
)
def test_ordinary_care_is_none(text):
    assert not HINTS.search(text)


def test_none_reaches_over_a_full_stop():
    assert not HINTS.search("没有你。大家都会轻松一点吗。")
