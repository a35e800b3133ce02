"""What the readers of all formats share: the fields of a record, and its list of messages."""

from typing import Any

from ..clients import Client, read_client
from ..schema import Message
from .roles import ROLES, SHORT_LIST, find_role
from .transcripts import BadRecord, read_line

ROLE_KEYS = ("role", "from", "sender", "speaker")
CONTENT_KEYS = ("content", "value", "text")
# Keys of a message that say how much it counts in training, and the value that stands for an ordinary message.
_WEIGHTS: dict[str, Any] = {"weight": 1, "loss": True, "train": True, "training": True, "loss_scale": 1}
# OpenAI's chat completions; the inputs and outputs of its responses.
_TEXT_PARTS = ("text", "input_text", "output_text")
_KINDS = {
    dict: "an object",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}


def read_messages(items: Any) -> list[Message]:
    """The messages of a list: objects with a role and a content (`ROLE_KEYS`, `CONTENT_KEYS`), or lines 用户：….

    Raises:
        BadRecord: something in the list is neither, or stands for less than an ordinary message.
    """
    if type(items) is not list:
        raise BadRecord(f"the messages are {kind(items)}; allowed: a list")
    messages: list[Message] = []
    for number, item in enumerate(items, 1):
        try:
            role, content, size = ROLES[item["role"]], item["content"], len(item)
        except (KeyError, TypeError):
            messages.append(_read_message(item, number))
            continue
        if type(content) is str and size == 2:
            messages.append({"role": role, "content": content})
        else:
            messages.append(_read_message(item, number))
    return messages


def _read_message(item: Any, number: int) -> Message:
    if type(item) is str:
        return _read_text_message(item, number)
    if type(item) is not dict:
        raise BadRecord(f"message {number} is {kind(item)}; allowed: an object with 'role' and 'content'")
    role_key = next((key for key in ROLE_KEYS if key in item), None)
    content_key = next((key for key in CONTENT_KEYS if key in item), None)
    if role_key is None or content_key is None:
        lacking = "role" if role_key is None else "content"
        raise BadRecord(f"message {number} lacks {lacking!r}, found {list(item)}")
    role = find_role(item[role_key])
    if role is None:
        raise BadRecord(f"message {number} has the role {item[role_key]!r}; allowed: {SHORT_LIST}")
    for key, ordinary in _WEIGHTS.items():
        if item.get(key) is not None and item[key] != ordinary and role == "assistant":
            raise BadRecord(
                f"message {number} has {key!r} {item[key]!r}: weighted data, every reply here counts fully; allowed: "
                "the conversations without such replies"
            )
    return {"role": role, "content": _content(item[content_key], f"message {number} has {content_key!r}")}


def _content(content: Any, where: str) -> str:
    """A text, or the text of a list of typed parts, `[{"type": "text", "text": "…"}]`."""
    if type(content) is str:
        return content
    if type(content) is not list:
        raise BadRecord(f"{where} of type {kind(content)}; allowed: text")
    texts = []
    for part in content:
        if type(part) is str:
            texts.append(part)
        elif type(part) is dict and part.get("type", "text") in _TEXT_PARTS and type(part.get("text")) is str:
            texts.append(part["text"])
        else:
            found = repr(part.get("type")) if type(part) is dict else kind(part)
            raise BadRecord(f"{where} with a part that is {found}; allowed: parts of type 'text'")
    return "".join(texts)


def _read_text_message(line: str, number: int) -> Message:
    found = read_line(line)
    if found is None:
        raise BadRecord(f"message {number} is text; allowed: an object with 'role' and 'content', or a line 用户：…")
    if any(read_line(other) for other in line.strip().split("\n")[1:]):
        raise BadRecord(f"message {number} holds the lines of several speakers; allowed: one message a text")
    return found


def field(record: Any, key: str) -> Any:
    """What stands under `key`; raises BadRecord where there is nothing."""
    if type(record) is not dict:
        raise BadRecord(f"the record is {kind(record)}; allowed: an object")
    if key not in record:
        raise BadRecord(f"{key!r} is missing, found {list(record)}")
    return record[key]


def text(record: Any, key: str) -> str:
    """The text under `key`; raises BadRecord for anything else."""
    value = field(record, key)
    if type(value) is not str:
        raise BadRecord(f"{key!r} is {kind(value)}; allowed: text")
    return value


def optional_text(record: Any, key: str) -> str:
    """The text under `key`, "" where there is none or null."""
    return text(record, key) if type(record) is dict and record.get(key) is not None else ""


def record_id(record: dict, key: str, default: str) -> str:
    """The id under `key` as text, `default` where there is none."""
    value = record.get(key)
    if value is None or value == "":
        return default
    if type(value) not in (str, int):
        raise BadRecord(f"{key!r} is {kind(value)}; allowed: text or a whole number")
    return str(value)


def topic(record: dict, key: str = "topic") -> str | None:
    """The topic's name; the first of a list of names."""
    value = record.get(key)
    if type(value) is list and all(type(name) is str for name in value):
        return value[0] if value else None
    return optional_text(record, key) or None


def system_text(record: dict) -> list[Message]:
    """The text under `system`, or that of its typed parts (Anthropic), as a message; none where there is none."""
    system = record.get("system") if type(record) is dict else None
    return [Message(role="system", content=_content(system, "'system'"))] if system else []


def client(record: dict) -> Client | None:
    """What `client`, or `big_five` beside it, states of the client."""
    stated, big_five = record.get("client"), record.get("big_five")
    try:
        if big_five is None:
            return read_client(stated)
        return read_client((read_client(stated) or {}) | {"big_five": big_five})
    except ValueError as problem:
        raise BadRecord(str(problem)) from None


def counsellor(record: dict) -> str | None:
    """The id under `counsellor` as text, None where there is none."""
    return record_id(record, "counsellor", "") or None


def join_lines(*parts: str) -> str:
    """The parts that are not empty, one below the other."""
    return "\n".join(part for part in parts if part)


def kind(value: Any) -> str:
    """The JSON type of a value, for messages."""
    return _KINDS.get(type(value), type(value).__name__)
