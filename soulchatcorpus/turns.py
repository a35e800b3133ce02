"""Which replies of a conversation are turns: one rule, from which samples, test turns and counts are made.

A turn is a counsellor's message that comes after the user's first one: an opening of the counsellor's answers nobody.
`tables.find_turns` is the same rule for Arrow columns.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .clients import Client
from .dialogue import render_prompt
from .schema import Conversation, Message


@dataclass(slots=True)
class Turn:
    """One sample: everything said up to the counsellor's `turn`-th reply, and that reply.

    Attributes:
        conversation_id: the conversation it comes from.
        turn: 1-based number of the reply in its conversation.
        context: the messages before the reply; a system text, where there is one, stands first.
        completion: the counsellor's message, nothing else.
        topic, client, counsellor: the conversation's.
    """

    conversation_id: str
    turn: int
    context: list[Message]
    completion: str
    topic: str | None = None
    client: Client | None = None
    counsellor: str | None = None

    @property
    def id(self) -> str:
        return f"{self.conversation_id}-{self.turn}"

    @property
    def system(self) -> str | None:
        """The system text, None where there is none."""
        return self.context[0]["content"] if self.context[0]["role"] == "system" else None

    @property
    def prompt(self) -> str:
        """The talk in the paper's form, without the system text, ending with the counsellor's cue."""
        return render_prompt(self.context if self.system is None else self.context[1:])

    def row(self) -> dict[str, Any]:
        """The columns of config `turns`, with the topic's name."""
        return {
            "id": self.id,
            "conversation_id": self.conversation_id,
            "turn": self.turn,
            "topic": self.topic,
            "system": self.system,
            "prompt": self.prompt,
            "completion": self.completion,
            "client": self.client,
            "counsellor": self.counsellor,
        }


def find_targets(messages: Sequence[Message]) -> list[int]:
    """The numbers of the messages that complete a turn: the counsellor's after the user's first."""
    first_user = next((i for i, message in enumerate(messages) if message["role"] == "user"), len(messages))
    return [i for i, message in enumerate(messages) if message["role"] == "assistant" and i > first_user]


def find_opening(messages: Sequence[Message]) -> str:
    """The first message that is not a system text: what a conversation is known by. Raises ValueError without one."""
    for message in messages:
        if message["role"] != "system":
            return message["content"]
    raise ValueError("a conversation has no message of the user or the counsellor")


def split_turns(conversation: Conversation) -> Iterator[Turn]:
    """A `Turn` for each of `find_targets`; the context of a turn is a prefix of the context of the next."""
    messages = conversation.messages
    for turn, number in enumerate(find_targets(messages), 1):
        yield Turn(
            conversation.id,
            turn,
            messages[:number],
            messages[number]["content"],
            conversation.topic,
            conversation.client,
            conversation.counsellor,
        )


def count_turns(messages: Sequence[Message]) -> int:
    """How many turns `split_turns` gives."""
    return len(find_targets(messages))
