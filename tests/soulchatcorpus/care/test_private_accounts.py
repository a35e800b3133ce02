"""Accounts in the spellings people use."""

import pytest

from soulchatcorpus.care.privacy import find_private


def accounts(text: str) -> list[tuple[str, str]]:
    return [(span.kind, text[span.start : span.end]) for span in find_private(text)]


@pytest.mark.parametrize(
    "call", ["微信", "加v：", "卫星 ", "薇信", "vx: ", "wx ", "小红书号", "抖音号", "telegram ", "绿泡泡微信号是"]
)
def test_a_handle_after_whatever_calls_for_it(call):
    assert accounts(f"{call}dada_xiong66，找我") == [("handle", "dada_xiong66")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("投稿到shudong2018@aliyun.com的树洞", ("email", "shudong2018@aliyun.com")),
        ("发到 lisa点chen艾特outlook点com 就行", ("email", "lisa点chen艾特outlook点com")),
        ("yezi dot qiu at gmail dot com，谢谢", ("email", "yezi dot qiu at gmail dot com")),
        ("车号沪A7K392", ("plate", "沪A7K392")),
        ("学号G2021304178", ("id_number", "G2021304178")),
        ("看www.douyin.com/user/MS4w，", ("url", "www.douyin.com/user/MS4w")),
        ("我在B站的id是深海不下雨，", ("handle", "深海不下雨")),
    ],
)
def test_accounts(text, found):
    assert accounts(text) == [found]


@pytest.mark.parametrize(
    "text", ["加微信聊吧", "我有borderline", "my online profile and a hotline", "群里的人", "微信是好东西吗"]
)
def test_a_word_alone_is_no_account(text):
    assert accounts(text) == []
