"""The formats that counselling corpora come in, each as one small function from a record to conversations.

`FORMATS` is the whole list. A format is recognised by its records' keys, never by a file's name. Shapes and sources:

release     {"id", "topic", "messages": [{"role": "user"|"assistant"|"system", "content"}]}: the open SoulChatCorpus
psydt       the same with "normalizedTag" for the topic: PsyDTCorpus
smilechat   a file a dialogue, [{"role": "client"|"counselor", "content"}]: qiuhuachuan/smile
psyqa       {"question", "description", "questionID", "answers": [{"answer_text"}]}: thu-coai/PsyQA
efaqa       {"md5", "title", "chats": [{"sender": "owner"|"audience", "value"}]}: chatopera/efaqa-corpus-zh
xtuner      {"conversation": [{"system", "input", "output"}]}: XTuner, EmoLLM
sharegpt    {"conversations": [{"from": "human"|"gpt"|"system", "value"}]}: LLaMA-Factory
alpaca      {"instruction", "input", "output", "history": [[user, assistant], …]}: LLaMA-Factory
cpsycound   a text file a dialogue, lines 来访者：… and 心理咨询师：…: CPsyCoun
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from ..dialogue import parse
from ..schema import Conversation, Message, Role


class BadRecord(ValueError):
    """A record that is not of its format; the message is the cause alone, without file and place."""


@dataclass(frozen=True, slots=True)
class Format:
    """How the records of one format become conversations.

    Attributes:
        name: as in `--format`.
        keys: a record that has all of these is recognised as this format.
        read: from a record and the id to give where it has none, to its conversations; raises BadRecord.
    """

    name: str
    keys: frozenset[str]
    read: Callable[[Any, str], list[Conversation]]


def _read_messages(record: dict, default_id: str, topic_key: str) -> list[Conversation]:
    messages = _messages(_field(record, "messages"), "role", "content", _CHAT_ROLES)
    return [Conversation(_id(record, "id", default_id), messages, _topic(record, topic_key))]


def read_release(record: dict, default_id: str) -> list[Conversation]:
    return _read_messages(record, default_id, "topic")


def read_psydt(record: dict, default_id: str) -> list[Conversation]:
    return _read_messages(record, default_id, "normalizedTag")


def read_smilechat(record: list, default_id: str) -> list[Conversation]:
    """`record` is the whole array of a file; the id is the file's name, which is a number."""
    return [Conversation(default_id, _messages(record, "role", "content", _SMILE_ROLES))]


def read_psyqa(record: dict, default_id: str) -> list[Conversation]:
    """A conversation for every answer, `{questionID}-{n}`; a question without answers gives one without counsellor."""
    question = _lines(_text(record, "question"), _optional_text(record, "description"))
    answers = _field(record, "answers")
    if type(answers) is not list:
        raise BadRecord(f"'answers' is {_kind(answers)}, expected a list")
    provenance = {"keywords": record["keywords"]} if record.get("keywords") else {}
    number = _id(record, "questionID", default_id)
    opening = Message(role="user", content=question)
    if not answers:
        return [Conversation(number, [opening], provenance=provenance)]
    return [
        Conversation(
            f"{number}-{n}",
            [opening.copy(), Message(role="assistant", content=_text(answer, "answer_text"))],
            provenance=dict(provenance),
        )
        for n, answer in enumerate(answers, 1)
    ]


def read_efaqa(record: dict, default_id: str) -> list[Conversation]:
    """The post is the first message. A chat's bubbles are joined: those of one speaker in a row are one message."""
    title, description = _text(record, "title"), _optional_text(record, "description")
    post = Message(role="user", content=title if description == title else _lines(title, description))
    bubbles = [post, *_messages(_field(record, "chats"), "sender", "value", _EFAQA_ROLES)]
    messages = [
        Message(role=role, content=_lines(*(bubble["content"] for bubble in run)))
        for role, run in groupby(bubbles, key=lambda bubble: bubble["role"])
    ]
    return [Conversation(_id(record, "md5", default_id), messages)]


def read_xtuner(record: dict, default_id: str) -> list[Conversation]:
    rounds = _field(record, "conversation")
    if type(rounds) is not list:
        raise BadRecord(f"'conversation' is {_kind(rounds)}, expected a list")
    messages: list[Message] = []
    for turn in rounds:
        messages += _system(turn)
        messages.append(Message(role="user", content=_text(turn, "input")))
        messages.append(Message(role="assistant", content=_text(turn, "output")))
    return [Conversation(_id(record, "id", default_id), messages)]


def read_sharegpt(record: dict, default_id: str) -> list[Conversation]:
    messages = _system(record) + _messages(_field(record, "conversations"), "from", "value", _SHAREGPT_ROLES)
    return [Conversation(_id(record, "id", default_id), messages, _topic(record))]


def read_alpaca(record: dict, default_id: str) -> list[Conversation]:
    question = _lines(_text(record, "instruction"), _optional_text(record, "input"))
    messages = _system(record)
    history = record.get("history") or []
    if type(history) is not list or not all(type(pair) is list and len(pair) == 2 for pair in history):
        raise BadRecord("'history' is not a list of [user, assistant] pairs")
    for user, assistant in [*history, (question, _text(record, "output"))]:
        if type(user) is not str or type(assistant) is not str:
            raise BadRecord(f"'history' holds {_kind(user)} and {_kind(assistant)}, expected texts")
        messages.append(Message(role="user", content=user))
        messages.append(Message(role="assistant", content=assistant))
    return [Conversation(_id(record, "id", default_id), messages, _topic(record))]


def read_cpsycound(record: str, default_id: str) -> list[Conversation]:
    """`record` is the text of a file; a line without a speaker goes on with the message before it."""
    if type(record) is not str:
        raise BadRecord(f"the record is {_kind(record)}, expected the text of a file")
    lines = [_speaker_line(line) for line in record.split("\n") if line.strip()]
    try:
        return [Conversation(default_id, parse("\n".join(lines)))]
    except ValueError as error:
        raise BadRecord(str(error)) from None


_KINDS = {
    dict: "an object",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}
_CHAT_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}
_SMILE_ROLES: dict[str, Role] = {"client": "user", "counselor": "assistant"}
_EFAQA_ROLES: dict[str, Role] = {"owner": "user", "audience": "assistant"}
_SHAREGPT_ROLES: dict[str, Role] = {"human": "user", "gpt": "assistant", **_CHAT_ROLES}
_TEXT_SPEAKERS = {
    "来访者：": "用户：",
    "来访者:": "用户：",
    "用户:": "用户：",
    "咨询师：": "心理咨询师：",
    "咨询师:": "心理咨询师：",
    "心理咨询师:": "心理咨询师：",
}

FORMATS = {
    format.name: format
    for format in (
        Format("psydt", frozenset({"messages", "normalizedTag"}), read_psydt),
        Format("release", frozenset({"messages"}), read_release),
        Format("smilechat", frozenset({"role", "content"}), read_smilechat),
        Format("psyqa", frozenset({"question", "answers"}), read_psyqa),
        Format("efaqa", frozenset({"chats", "title"}), read_efaqa),
        Format("xtuner", frozenset({"conversation"}), read_xtuner),
        Format("sharegpt", frozenset({"conversations"}), read_sharegpt),
        Format("alpaca", frozenset({"instruction", "output"}), read_alpaca),
        Format("cpsycound", frozenset(), read_cpsycound),
    )
}


def recognise(value: Any) -> Format | None:
    """The format of a file whose first record is `value`: a parsed JSON value, or the text of a text file."""
    if type(value) is str:
        return FORMATS["cpsycound"] if _speaker_line(value.lstrip()).startswith(("用户：", "心理咨询师：")) else None
    if type(value) is not dict:
        return None
    return next((format for format in FORMATS.values() if format.keys and format.keys <= value.keys()), None)


def _speaker_line(line: str) -> str:
    for speaker, prefix in _TEXT_SPEAKERS.items():
        if line.startswith(speaker):
            return prefix + line.removeprefix(speaker)
    return line


def _messages(items: Any, role_key: str, content_key: str, roles: Mapping[str, Role]) -> list[Message]:
    if type(items) is not list:
        raise BadRecord(f"the messages are {_kind(items)}, expected a list")
    messages: list[Message] = []
    for number, item in enumerate(items, 1):
        try:
            role, content = roles[item[role_key]], item[content_key]
        except (KeyError, TypeError):
            raise BadRecord(f"message {number} {_why_no_message(item, role_key, content_key, roles)}") from None
        if type(content) is not str:
            raise BadRecord(f"message {number} has {content_key!r} of type {_kind(content)}, expected text")
        messages.append({"role": role, "content": content})
    return messages


def _why_no_message(item: Any, role_key: str, content_key: str, roles: Mapping[str, str]) -> str:
    if type(item) is not dict:
        return f"is {_kind(item)}, expected an object with {role_key!r} and {content_key!r}"
    if role_key not in item or content_key not in item:
        return f"lacks {role_key if role_key not in item else content_key!r}, found {list(item)}"
    return f"has the unknown role {item[role_key]!r}, allowed: {', '.join(roles)}"


def _field(record: Any, key: str) -> Any:
    if type(record) is not dict:
        raise BadRecord(f"the record is {_kind(record)}, expected an object")
    if key not in record:
        raise BadRecord(f"{key!r} is missing, found {list(record)}")
    return record[key]


def _text(record: Any, key: str) -> str:
    value = _field(record, key)
    if type(value) is not str:
        raise BadRecord(f"{key!r} is {_kind(value)}, expected text")
    return value


def _optional_text(record: Any, key: str) -> str:
    return _text(record, key) if type(record) is dict and record.get(key) is not None else ""


def _id(record: dict, key: str, default: str) -> str:
    value = record.get(key)
    if value is None:
        return default
    if type(value) not in (str, int):
        raise BadRecord(f"{key!r} is {_kind(value)}, expected text or a whole number")
    return str(value)


def _topic(record: dict, key: str = "topic") -> str | None:
    return _optional_text(record, key) or None


def _system(record: dict) -> list[Message]:
    system = _optional_text(record, "system")
    return [Message(role="system", content=system)] if system else []


def _lines(*parts: str) -> str:
    return "\n".join(part for part in parts if part)


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), type(value).__name__)
