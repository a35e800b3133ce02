"""The page's handlers, without a browser."""

import asyncio
import itertools

import gradio as gr
import pytest

from soulchat.talk.page import (
    HELP_LINES,
    THOUGHTS,
    last_words,
    make_entry,
    make_help,
    pin_help,
    read_talk,
    show_reply,
    text_of,
)
from soulchat_trainer.generation import Decoding


def show(service, text: str, decoding: Decoding = Decoding()) -> list[list[dict]]:
    async def gather():
        messages = [{"role": "user", "content": text}]
        return [entries async for entries in show_reply(service, messages, decoding, "somebody")]

    return asyncio.run(gather())


def test_reply_grows(scripted):
    service, _ = scripted("听起来你最近承受了很多，谢谢你愿意告诉我。" * 2)
    states = show(service, "你好")
    texts = [text_of(entries[-1]) for entries in states]
    assert len(texts) > 2
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(texts))
    assert texts[-1] == "听起来你最近承受了很多，谢谢你愿意告诉我。" * 2


def test_thoughts_are_an_entry_apart_and_no_words_of_the_talk(scripted):
    service, _ = scripted("<think>他睡不着。</think>多久了？")
    last = show(service, "我睡不着", Decoding(thinking="keep"))[-1]
    assert last[0]["metadata"] == {**THOUGHTS, "title": "思考（不是回复）", "status": "done"}
    assert [text_of(entry) for entry in last] == ["他睡不着。", "多久了？"]
    assert read_talk(last) == [{"role": "assistant", "content": "多久了？"}]
    assert [text_of(entry) for entry in show(service, "我睡不着")[-1]] == ["多久了？"]


def test_help_lines_are_an_entry_above_the_reply(scripted):
    service, _ = scripted("我在听。")
    first, *_, last = show(service, "我不想活了，想自杀")
    assert [entry["metadata"] for entry in first] == [HELP_LINES["zh"]]
    assert "12356" in text_of(last[0])
    assert text_of(last[1]) == "我在听。"


def test_help_lines_are_an_entry_before_the_harm(scripted):
    service, _ = scripted("我听到你了。你应该去死，没有人会在乎的。")
    last = show(service, "你好")[-1]
    assert [entry["metadata"] for entry in last] == [None, HELP_LINES["zh"], None]
    assert text_of(last[0]) == "我听到你了。"
    assert read_talk(last) == [{"role": "assistant", "content": "我听到你了。你应该去死，没有人会在乎的。"}]


@pytest.mark.parametrize(("message", "told"), [("你好", "没有给出回复"), ("hello", "gave no reply")])
def test_empty_reply_is_told(scripted, message, told):
    service, _ = scripted("")
    assert told in text_of(show(service, message)[-1][-1])


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "a < b && c > d", "&lt;b&gt;", "<<img src=x>"])
def test_markup_is_disarmed_and_comes_back_as_it_was(text):
    entry = make_entry("user", text)
    assert not any(mark in entry["content"] for mark in ("<s", "<i", "<b", "</", "&l", "&g"))
    assert text_of(entry) == text
    assert text_of({"role": "user", "content": [{"type": "text", "text": entry["content"]}]}) == text


def test_what_the_page_says_itself_is_no_word_of_the_model(scripted):
    """After a reply that did not come, what the user says next follows as a line of its own."""
    service, _ = scripted("")
    talk = [make_entry("user", "在吗"), *show(service, "在吗")[-1], make_entry("user", "你好？")]
    assert read_talk(talk) == [{"role": "user", "content": "在吗\n你好？"}]


def test_last_words():
    talk = [
        make_entry("user", "一"),
        make_entry("assistant", "二"),
        make_entry("user", "三"),
        make_entry("assistant", "四"),
    ]
    assert last_words(talk) == 2
    assert last_words([]) == 0


def test_help_lines_have_a_row_of_their_own_from_the_moment_they_are_raised():
    words = [make_entry("user", "我想自杀"), make_entry("assistant", "12356")]
    assert pin_help(words, None) == (gr.skip(), gr.skip())  # neither shown nor hidden
    row, box = pin_help([*words, make_help("zh", None)], None)
    assert row.visible
    assert box.value.index("12356") < box.value.index("<details>") < box.value.index("12355")
    assert "988" in pin_help([make_help("en", None)], "US")[1].value.split("<details>")[0]
