"""What happens to irregular conversations: one rule for each irregularity, the same for every format and output.

Nothing is dropped but what carries no word. Where the source does not alternate, starts with the counsellor or ends
with the user, its messages stay as they are, and `turns.split_turns` makes a turn of every counsellor message that
the user came before. A conversation has at most one system text, as its first message, and that is kept word for word.
"""

import re
from collections import Counter

from ..dialogue import ROLE_PREFIXES
from ..schema import Conversation, Message, find_topic

# Rule -> (what it counts, what it does). The order is that of the reports.
RULES = {
    "not_alternating": ("conversations", "kept: every message stays one of its own"),
    "starts_with_counsellor": ("conversations", "kept: that message is context and gives no turn"),
    "ends_with_user": ("conversations", "kept: the last words stay in `conversations` and in no turn"),
    "no_counsellor": ("conversations", "kept in `conversations`, gives no turn"),
    "no_message": ("conversations", "left out: no word of the user or the counsellor"),
    "blank_message": ("messages", "left out"),
    "role_prefix_inside": ("line breaks", "a space instead of the line break before 用户： or 心理咨询师："),
    "system_messages": ("conversations", "they became the first message: each text once, joined by line breaks"),
    "duplicate_id": ("conversations", "kept, with ~2, ~3, … after the id"),
    "unknown_topic": ("conversations", "topic null: its name is none of the twelve"),
}

_PREFIX_INSIDE = re.compile(f"\\n(?={'|'.join(ROLE_PREFIXES.values())})")


class Regulariser:
    """Applies the rules to the conversations of one corpus and counts in `fired` what it did."""

    def __init__(self) -> None:
        self.fired: Counter[str] = Counter()
        self._ids: set[str] = set()
        self._copies: dict[str, int] = {}  # how often a duplicated id has been seen

    def __call__(self, conversation: Conversation) -> bool:
        """Make `conversation` regular, in place. False where nothing is left of it."""
        system, said = self._clean_messages(conversation.messages)
        if not said:
            self.fired["no_message"] += 1
            return False
        if system and (len(system) > 1 or conversation.messages[0]["role"] != "system"):
            self.fired["system_messages"] += 1
        self._count_order(said)
        text = "\n".join(dict.fromkeys(system))
        conversation.messages = [Message(role="system", content=text), *said] if system else said
        self._unify_id(conversation)
        if conversation.topic is not None:
            conversation.topic = find_topic(conversation.topic)
            if conversation.topic is None:
                self.fired["unknown_topic"] += 1
        return True

    def take_ids(self, ids: list[str]) -> bool:
        """Take note of many ids if none of them occurs twice; else do nothing and return False."""
        if len(set(ids)) < len(ids) or not self._ids.isdisjoint(ids):
            return False
        self._ids.update(ids)
        return True

    def _clean_messages(self, messages: list[Message]) -> tuple[list[str], list[Message]]:
        """The system texts, and what user and counsellor say, without the blank ones."""
        system: list[str] = []
        said: list[Message] = []
        for message in messages:
            content = message["content"]
            if not content or content.isspace():
                self.fired["blank_message"] += 1
            elif message["role"] == "system":
                system.append(content)
            else:
                if "\n" in content:
                    message["content"], breaks = _PREFIX_INSIDE.subn(" ", content)
                    if breaks:
                        self.fired["role_prefix_inside"] += breaks
                said.append(message)
        return system, said

    def _count_order(self, messages: list[Message]) -> None:
        roles = [message["role"] for message in messages]
        users = roles.count("user")
        if roles[0] == "assistant":
            self.fired["starts_with_counsellor"] += 1
        if roles[-1] == "user":
            self.fired["ends_with_user"] += 1
        if users == len(roles):
            self.fired["no_counsellor"] += 1
        if roles[::2].count(roles[0]) != (len(roles) + 1) // 2 or roles[1::2].count(roles[0]):
            self.fired["not_alternating"] += 1

    def _unify_id(self, conversation: Conversation) -> None:
        original = conversation.id
        if original in self._ids:
            self.fired["duplicate_id"] += 1
            while conversation.id in self._ids:
                self._copies[original] = self._copies.get(original, 1) + 1
                conversation.id = f"{original}~{self._copies[original]}"
        self._ids.add(conversation.id)
