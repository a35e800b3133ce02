"""The one place that renders "用户：…\\n心理咨询师：…", parses it back, and splits a conversation into turns.

The form is that of the paper, section 2.2, with the full-width colon of the authors' application. A line that starts
with a role's prefix starts a message; any other line goes on with the message before it. `rules.regularise` sees to it
that no message breaks this, so rendering and parsing are exact inverses of each other.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .schema import Conversation, Message, Role

ROLE_PREFIXES: dict[Role, str] = {"user": "用户：", "assistant": "心理咨询师："}
COUNSELLOR_CUE = ROLE_PREFIXES["assistant"]

_ROLES = {prefix: role for role, prefix in ROLE_PREFIXES.items()}
_MESSAGE_START = re.compile(f"^({'|'.join(_ROLES)})", re.MULTILINE)


@dataclass(slots=True)
class Turn:
    """One training sample: everything said up to the counsellor's `turn`-th reply, and that reply.

    Attributes:
        conversation_id: the conversation it comes from.
        turn: 1-based number of the reply in its conversation.
        prompt: the context, ending with the counsellor's cue.
        completion: the counsellor's message, nothing else.
        topic: the conversation's.
    """

    conversation_id: str
    turn: int
    prompt: str
    completion: str
    topic: str | None = None

    @property
    def id(self) -> str:
        return f"{self.conversation_id}-{self.turn}"

    def row(self) -> dict[str, Any]:
        """The columns of config `turns`, with the topic's name."""
        return {
            "id": self.id,
            "conversation_id": self.conversation_id,
            "turn": self.turn,
            "topic": self.topic,
            "prompt": self.prompt,
            "completion": self.completion,
        }


def render_line(message: Message) -> str:
    """`用户：…` or `心理咨询师：…`, without a newline at the end; raises ValueError for another role."""
    if message["role"] not in ROLE_PREFIXES:
        raise ValueError(f"a message has role {message['role']!r}; allowed: {', '.join(ROLE_PREFIXES)}")
    return ROLE_PREFIXES[message["role"]] + message["content"]


def render_prompt(messages: Sequence[Message]) -> str:
    """The context that the model continues: one line for every message, then the counsellor's cue."""
    return "".join(render_line(message) + "\n" for message in messages) + COUNSELLOR_CUE


def split_turns(conversation: Conversation) -> Iterator[Turn]:
    """A `Turn` for every counsellor message after the user's first one.

    The context of a turn is a prefix of the context of the next: `prompt` + `completion` + "\\n" starts every later
    prompt of the conversation.
    """
    context, turn, user_spoke = "", 0, False
    for message in conversation.messages:
        if message["role"] == "user":
            user_spoke = True
        elif user_spoke:
            turn += 1
            yield Turn(conversation.id, turn, context + COUNSELLOR_CUE, message["content"], conversation.topic)
        context += render_line(message) + "\n"


def count_turns(messages: Sequence[Message]) -> int:
    """How many turns `split_turns` gives."""
    roles = [message["role"] for message in messages]
    return roles[roles.index("user") :].count("assistant") if "user" in roles else 0


def parse(text: str) -> list[Message]:
    """The messages of a rendered conversation; the counsellor's empty cue at the end of a prompt is not a message.

    `parse(render_prompt(messages)) == messages`, and `parse(turn.prompt + turn.completion)` is the conversation up to
    and including that reply.

    Raises:
        ValueError: the text does not start with a role's prefix.
    """
    starts = list(_MESSAGE_START.finditer(text))
    if not starts or starts[0].start() != 0:
        raise ValueError(f"a dialogue starts with one of {list(_ROLES)}, found {text[:20]!r}")
    ends = [start.start() - 1 for start in starts[1:]] + [len(text)]
    messages = [
        Message(role=_ROLES[start.group(1)], content=text[start.end() : end])
        for start, end in zip(starts, ends, strict=True)
    ]
    if messages[-1] == {"role": "assistant", "content": ""}:
        messages.pop()
    return messages
