"""The one place that renders "用户：…\\n心理咨询师：…", parses it back, and splits a conversation into turns.

The form is that of the paper, section 2.2, with the full-width colon of the authors' application.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .schema import Conversation, Message

ROLE_PREFIXES = {"user": "用户：", "assistant": "心理咨询师："}
COUNSELLOR_CUE = ROLE_PREFIXES["assistant"]


@dataclass(slots=True)
class Turn:
    """One training sample: everything said up to the counsellor's `turn`-th reply, and that reply."""

    conversation_id: str
    turn: int
    prompt: str
    completion: str
    topic: str | None = None

    @property
    def id(self) -> str:
        return f"{self.conversation_id}-{self.turn}"


def render_line(message: Message) -> str:
    """`用户：…` or `心理咨询师：…`, without a newline at the end."""
    return ROLE_PREFIXES[message["role"]] + message["content"]


def render_prompt(messages: Sequence[Message]) -> str:
    """The context that the model continues: one line for every message, then the counsellor's cue."""
    return "".join(render_line(message) + "\n" for message in messages) + COUNSELLOR_CUE


def split_turns(conversation: Conversation) -> Iterator[Turn]:
    """A `Turn` for every counsellor message that has something before it."""
    context, turn = "", 0
    for message in conversation.messages:
        if message["role"] == "assistant" and context:
            turn += 1
            yield Turn(conversation.id, turn, context + COUNSELLOR_CUE, message["content"], conversation.topic)
        context += render_line(message) + "\n"
