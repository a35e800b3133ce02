"""Thoughts that a model writes before its reply, told apart from the reply.

    <think>\n他睡不着。\n</think>\n\n愿意多说一点吗？    ->    thoughts "他睡不着。", reply "愿意多说一点吗？"

The opening mark may be missing, where the prompt has it. A thought that never ends leaves no reply.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from .schema import Message

Thinking = Literal["off", "keep"]
POLICIES: tuple[Thinking, ...] = ("off", "keep")
BEGIN, END = "<think>", "</think>"

# The names of a chat template's switch: Qwen 3 and GLM-4.5 read the first, DeepSeek-V3.1 the second; others neither.
SWITCHES = {
    "off": {"enable_thinking": False, "thinking": False},
    "keep": {"enable_thinking": True, "thinking": True},
}


class Said(NamedTuple):
    """What a model has written.

    Attributes:
        thoughts: without marks, white space around them cut off.
        reply: None where a thought has not ended.
    """

    thoughts: str
    reply: str | None


def check_thinking(value: str) -> Thinking:
    """The policy of that name; raises ValueError for another one."""
    for policy in POLICIES:
        if value == policy:
            return policy
    raise ValueError(f"thinking is {value!r}; allowed: {', '.join(POLICIES)}")


def is_open(prompt: str) -> bool:
    """Whether a prompt ends inside of a thought."""
    return prompt.rstrip().endswith(BEGIN)


def split_thoughts(text: str, opened: bool = False) -> Said:
    """A model's text as thoughts and reply.

    Args:
        text: with the marks, where it has any.
        opened: whether the prompt has opened the thought.
    """
    thoughts, end, reply = text.rpartition(END)
    if not end and opened:
        return Said(_unmarked(text), None)
    if BEGIN in reply:
        return Said(_unmarked(text), None)
    return Said(_unmarked(thoughts), reply if not end else reply.lstrip())


def reply_of(text: str) -> str | None:
    """A counsellor's message without the thoughts before it, as corpora made with a model that thinks have them.

    None where a thought does not end; a text without marks, or with a mark inside of its words, is as it was.
    """
    return split_thoughts(text).reply if END in text or text.lstrip().startswith(BEGIN) else text


def without_thoughts(messages: Sequence[Message]) -> list[Message]:
    """A talk whose replies begin with their first word (`reply_of`); raises ValueError where a thought has none."""
    said = []
    for number, message in enumerate(messages, start=1):
        if message["role"] == "assistant" and (reply := reply_of(message["content"])) != message["content"]:
            if not reply or reply.isspace():
                raise ValueError(f"message {number} is a thought without a reply; allowed: words behind {END}")
            message = Message(role="assistant", content=reply)
        said.append(message)
    return said


def all_written(text: str, aside: str, is_done: bool, thinking: Thinking | None) -> str:
    """An endpoint's answer as one text with the marks of thoughts, where its content may be empty.

    Args:
        text: its content.
        aside: what a server has put into a field for thoughts.
        is_done: whether the model came to its end.
        thinking: off: a model that was not to think and is done has replied, whatever its server took that for.
    """
    if text.strip() or not aside.strip():
        return text
    return aside if thinking == "off" and is_done else BEGIN + aside


def _unmarked(thoughts: str) -> str:
    return thoughts.replace(BEGIN, "").replace(END, "").strip()
