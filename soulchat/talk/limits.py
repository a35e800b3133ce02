"""Limits on length, rate and number of replies at once; over them a talk gets a clear answer and goes on."""

import itertools
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from soulchat_trainer.encoding.fit import find_start, keep_from
from soulchatcorpus import Message

# Characters of a talk that are looked at: the window of 2,048 tokens holds fewer, so nothing that counts is lost.
TALK_CHARACTERS = 32_768

_SURROGATE = re.compile(r"[\ud800-\udfff]")


class OverLimit(ValueError):
    """Too much at once: try again later."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one talk, one client and all of them together may ask for."""

    message_characters: int = field(default=4_000, metadata={"help": "Longest message, in characters."})
    messages_per_minute: int = field(
        default=30, metadata={"help": "Messages a minute from one client; 0: any number."}
    )
    replies_at_once: int = field(default=64, metadata={"help": "Replies being made or waited for at the same time."})

    def __post_init__(self) -> None:
        for name, least in (("message_characters", 1), ("messages_per_minute", 0), ("replies_at_once", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; allowed: at least {least}")

    def check_message(self, text: str) -> None:
        """Raises ValueError for an empty or an overlong message."""
        if not text.strip():
            raise ValueError("the message is empty; allowed: some words")
        if len(text) > self.message_characters:
            raise ValueError(f"the message has {len(text):,} characters; allowed: at most {self.message_characters:,}")

    def check_talk(self, messages: Sequence[Message]) -> None:
        """Check a whole talk before anything of it reaches the model.

        Raises:
            ValueError: it does not end with the user's words, or `check_message` refuses them; a system text is not
                the first message, or is too long; something in it is not Unicode text.
        """
        if not messages or messages[-1]["role"] != "user":
            raise ValueError("the last message is not the user's; allowed: messages that end with role user")
        self.check_message(messages[-1]["content"])
        first = messages[0]
        if first["role"] == "system" and len(first["content"]) > TALK_CHARACTERS:
            raise ValueError(
                f"the system text has {len(first['content']):,} characters; allowed: at most {TALK_CHARACTERS:,}"
            )
        for place, message in enumerate(messages, start=1):
            if message["role"] == "system" and place > 1:
                raise ValueError(f"message {place} is a system text; allowed: only as the first message")
            if _SURROGATE.search(message["content"]):
                raise ValueError(f"message {place} holds half of a surrogate pair; allowed: Unicode text")


def drop_oldest_turns(messages: Sequence[Message]) -> list[Message]:
    """The talk without its oldest turns where it is longer than any window (the window itself counts tokens).

    A system text at the beginning is kept.
    """
    from_end = [0, *itertools.accumulate(len(message["content"]) for message in reversed(messages))]
    start = find_start(messages, lambda number: from_end[len(messages) - number], TALK_CHARACTERS)
    return keep_from(messages, start)


class RateLimiter:
    """A bucket of messages for each client that refills evenly over a minute."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute, self.clock = per_minute, clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, client: str) -> None:
        """Count one message. Raises OverLimit when the client's bucket is empty."""
        if not self.per_minute:
            return
        now = self.clock()
        left, since = self._buckets.get(client, (self.per_minute, now))
        left = min(self.per_minute, left + (now - since) * self.per_minute / 60)
        if left < 1:
            wait = (1 - left) * 60 / self.per_minute
            raise OverLimit(f"more than {self.per_minute} messages a minute; allowed again in {wait:.0f} s")
        self._buckets[client] = (left - 1, now)
        self._forget(now)

    def _forget(self, now: float) -> None:
        """Drop clients whose bucket is full again, so that the table does not grow with every address ever seen."""
        if len(self._buckets) > 1_000:
            self._buckets = {client: entry for client, entry in self._buckets.items() if now - entry[1] < 60}
