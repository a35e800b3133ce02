"""Formats that are a list of messages.

messages    {"id", "topic", "system", "messages": [{"role", "content"}]}: OpenAI, TRL, the SoulChat release, our chat
psydt       the same with "normalizedTag" for the topic: PsyDTCorpus
sharegpt    {"conversations": [{"from": "human"|"gpt"|"system", "value"}]}: LLaMA-Factory; with "role" and "content":
            ChatGLM3
smilechat   the list alone, one in a file or one a line: qiuhuachuan/smile
sage        {"player", "history": [{"role", "content"}]}: SAGE's talks; age, gender and occupation in the lines of
            `player` are the client's
trl         {"prompt": [messages], "completion": [messages]}: TRL
"""

from ..clients import read_player
from ..dialogue import ROLE_PREFIXES, parse
from ..schema import Conversation, Message
from .fields import field, read_messages, record_id, system_text, text, topic
from .transcripts import BadRecord, read_asked


def read_chat(record: dict, default_id: str) -> list[Conversation]:
    return _read(record, "messages", default_id, "topic")


def read_psydt(record: dict, default_id: str) -> list[Conversation]:
    return _read(record, "messages", default_id, "normalizedTag")


def read_sharegpt(record: dict, default_id: str) -> list[Conversation]:
    return _read(record, "conversations", default_id, "topic")


def _read(record: dict, key: str, default_id: str, topic_key: str) -> list[Conversation]:
    said = read_messages(field(record, key))
    messages = [*system_text(record), *said]
    return [Conversation(record_id(record, "id", default_id), messages, topic(record, topic_key))]


def read_sage(record: dict, default_id: str) -> list[Conversation]:
    messages = read_messages(field(record, "history"))
    id_ = record_id(record, "id", default_id)
    return [Conversation(id_, messages, topic(record), client=read_player(text(record, "player")))]


def read_smilechat(record: list, default_id: str) -> list[Conversation]:
    """`record` is the whole list."""
    return [Conversation(default_id, read_messages(record))]


def read_trl(record: dict, default_id: str) -> list[Conversation]:
    """A prompt and a completion, each a list of messages or a text; a rendered prompt (用户：…) is a talk of its own.

    Raises:
        BadRecord: also for rows of our config `turns`, of which one conversation gives many.
    """
    prompt, completion = field(record, "prompt"), field(record, "completion")
    if record.get("conversation_id") is not None:
        raise BadRecord("a row of config turns, one of several of its conversation; allowed: config conversations")
    messages = system_text(record)
    if type(prompt) is not str:
        messages += read_messages(prompt)
    elif prompt.startswith(tuple(ROLE_PREFIXES.values())):
        messages += parse(prompt)
    else:
        messages += read_asked(prompt)
    if type(completion) is not str:
        messages += read_messages(completion)
    else:
        messages.append(Message(role="assistant", content=completion))
    return [Conversation(record_id(record, "id", default_id), messages, topic(record))]
