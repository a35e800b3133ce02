"""Thoughts told apart from replies, in every form in which models and endpoints send them."""

import pytest

from soulchatcorpus.schema import Message
from soulchatcorpus.thoughts import (
    Said,
    Thinking,
    all_written,
    check_thinking,
    is_open,
    split_thoughts,
    without_thoughts,
)


@pytest.mark.parametrize(
    ("text", "thoughts", "reply"),
    [
        ("愿意多说一点吗？", "", "愿意多说一点吗？"),
        ("<think>\n\n</think>\n\n愿意", "", "愿意"),
        ("<think>\n他睡不着。\n</think>\n\n愿意", "他睡不着。", "愿意"),
        ("\n</think>\n\n愿意", "", "愿意"),
        ("他睡不着。</think>愿意", "他睡不着。", "愿意"),
        ("<think>一</think>不<think>二</think>愿意", "一不二", "愿意"),
        ("<think>他睡不着", "他睡不着", None),
        ("<think>一</think>愿意<think>二", "一愿意二", None),
    ],
)
def test_thoughts_and_reply(text: str, thoughts: str, reply: str | None) -> None:
    assert split_thoughts(text) == Said(thoughts, reply)


def test_what_the_prompt_has_opened() -> None:
    assert is_open("<|im_start|>assistant\n<think>\n")
    assert not is_open("<think>\n\n</think>\n\n")
    assert split_thoughts("还在想", opened=True) == Said("还在想", None)
    assert split_thoughts("想完了</think>愿意", opened=True) == Said("想完了", "愿意")


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(ValueError, match="thinking is 'on'; allowed: off, keep"):
        check_thinking("on")


@pytest.mark.parametrize(
    ("text", "aside", "is_done", "thinking", "written"),
    [
        ("好", "他睡不着。", True, "keep", "好"),
        (" ", "好", True, "off", "好"),
        ("", "好", False, "off", "<think>好"),
        ("", "好", True, "keep", "<think>好"),
        ("", "好", True, None, "<think>好"),
        ("", "", True, "off", ""),
    ],
)
def test_a_text_beside_the_content_is_the_reply_of_a_model_that_was_not_to_think(
    text: str, aside: str, is_done: bool, thinking: Thinking | None, written: str
) -> None:
    """Else it is a thought without a reply."""
    assert all_written(text, aside, is_done, thinking) == written


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("<think>\n他睡不着。\n</think>\n\n愿意多说一点吗？", "愿意多说一点吗？"),
        ("他睡不着。</think>愿意", "愿意"),
        (" 愿意 ", " 愿意 "),
        ("我说 <think> 这个词", "我说 <think> 这个词"),
    ],
)
def test_replies_of_a_talk_begin_with_their_first_word(content: str, said: str) -> None:
    talk = [Message(role="user", content="<think>我</think>"), Message(role="assistant", content=content)]
    assert without_thoughts(talk) == [talk[0], Message(role="assistant", content=said)]


@pytest.mark.parametrize("content", ["<think>他睡不着", "<think>他睡不着</think>\n"])
def test_a_thought_without_a_reply_is_no_message(content: str) -> None:
    with pytest.raises(ValueError, match="message 1 is a thought without a reply; allowed: words behind </think>"):
        without_thoughts([Message(role="assistant", content=content)])
