"""Records on their way to a corpus: questions with answers, or conversations, one JSON value a line.

Every verb reads such a file (or a folder that an earlier verb left) and writes such files, and every record keeps its
id. A question record is `{"id", "question", "answer", "topic"?, …}`; a conversation record is what `to_record` makes.
Both may have `client` and `counsellor` (see `schema.Conversation`).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from ..clients import read_client
from ..reading.json_stream import read_records
from ..schema import TOPICS, Conversation, Message, Role, find_topic

Record = dict[str, Any]
Kind = Literal["questions", "conversations"]
KINDS: tuple[Kind, ...] = ("questions", "conversations")
NEEDED: dict[Kind, tuple[str, ...]] = {
    "questions": ("id", "question", "answer"),
    "conversations": ("id", "messages"),
}


def find_file(path: Path) -> Path:
    """`path` itself, or the record file in the folder that an earlier verb left.

    Raises:
        FileNotFoundError: neither the file nor a record file in the folder is there.
    """
    if path.is_dir():
        found = [path / f"{kind}.jsonl" for kind in reversed(KINDS) if (path / f"{kind}.jsonl").exists()]
        if not found:
            raise FileNotFoundError(f"{path} holds neither conversations.jsonl nor questions.jsonl")
        return found[0]
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    return path


def kind_of(path: Path) -> Kind:
    """Whether the first record of a file is a question or a conversation."""
    for record in read_records(path):
        if record.problem:
            raise record.error()
        if isinstance(record.value, dict):
            if "messages" in record.value:
                return "conversations"
            if {"question", "answer"} <= record.value.keys():
                return "questions"
        keys = sorted(record.value) if isinstance(record.value, dict) else type(record.value).__name__
        raise ValueError(f"{path}: record 1 has {keys}; allowed: id, question, answer (topic) or id, messages (topic)")
    raise ValueError(f"{path}: the file is empty")


def result_file(file: Path, out: Path) -> Path:
    """Where a verb writes those records of `file` that it passes on.

    Raises:
        ValueError: that would take the place of `file` itself.
    """
    if any((out / f"{kind}.jsonl").exists() and (out / f"{kind}.jsonl").samefile(file) for kind in KINDS):
        raise ValueError(f"out is {out}; allowed: another folder, since the result would replace {file}, its source")
    return out / f"{kind_of(file)}.jsonl"


def read_pipeline_records(path: Path, unknown_topics: str = "refuse") -> Iterator[Record]:
    """The records of a file in order, checked: needed columns, distinct ids (as strings), topics of `schema.TOPICS`.

    A topic of another name raises `ValueError`, or with `unknown_topics="relabel"` moves to `source_topic` and leaves
    the topic open. The short and English names of the twelve become their Chinese form.
    """
    kind, seen = kind_of(path), set()
    needed = NEEDED[kind]
    for place in read_records(path):
        if place.problem:
            raise place.error()
        record = place.value
        where = f"{path}, record {place.number}"
        missing = [name for name in needed if not isinstance(record, dict) or record.get(name) in (None, "", [])]
        if missing:
            raise ValueError(f"{where}: no {' and no '.join(missing)}; a record of {kind} has {', '.join(needed)}")
        drop_nulls(record)
        if problem := find_fault(record, kind):
            raise ValueError(f"{where}: {problem}")
        record["id"] = str(record["id"])
        _unify_people(record)
        if record["id"] in seen:
            raise ValueError(f"{where}: the id {record['id']!r} occurs twice; every record needs an id of its own")
        seen.add(record["id"])
        _unify_topic(record, where, unknown_topics)
        yield record


def drop_nulls(record: Record) -> None:
    """Take out the nulls that Arrow writes for what some rows have and this one has not, in place."""
    for name in ("flags", "labels", "provenance"):
        value = record.get(name)
        if value is None:
            record.pop(name, None)
        elif isinstance(value, dict):
            record[name] = {key: inside for key, inside in value.items() if inside is not None}
        elif isinstance(value, list) and all(isinstance(flag, dict) for flag in value):
            record[name] = [{key: inside for key, inside in flag.items() if inside is not None} for flag in value]


def find_fault(record: Record, kind: Kind) -> str | None:
    """What is not of its type in a record with the needed columns, in words."""
    if problem := _find_fault_in_notes(record) or _find_fault_in_people(record):
        return problem
    if not isinstance(record.get("topic"), str | None):
        return f"topic is {record['topic']!r}; allowed: text"
    if kind == "questions":
        if all(isinstance(record[name], str) for name in ("question", "answer")):
            return None
        return "question and answer are not both text"
    if not isinstance(record["messages"], list):
        return f"messages is {type(record['messages']).__name__}; allowed: a list"
    for message in record["messages"]:
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            return "a message is no object with a role and a text as content"
    roles = [message.get("role") for message in record["messages"]]
    if roles == ["system"]:
        return "a conversation has nothing but a system text"
    for place, role in enumerate(roles):
        if role not in ("user", "assistant") and (place, role) != (0, "system"):
            allowed = "user, assistant, and system in the first place (see corpus convert)"
            return f"a message has the role {role!r}; allowed: {allowed}"
    return None


def _find_fault_in_notes(record: Record) -> str | None:
    """What is not of its form in the columns that the steps write for each other, in words."""
    flags, labels, provenance = (record.get(name) for name in ("flags", "labels", "provenance"))
    if not (isinstance(flags, list | None) and all(isinstance(flag, dict) for flag in flags or [])):
        return f"flags is {flags!r}; allowed: the list of objects that clean writes"
    if not (isinstance(labels, dict | None) and all(isinstance(label, str) for label in (labels or {}).values())):
        return f"labels is {labels!r}; allowed: the object of texts that clean writes"
    if not isinstance(provenance, dict | None):
        return f"provenance is {provenance!r}; allowed: an object"
    return None


def _find_fault_in_people(record: Record) -> str | None:
    """What is not of its form in the columns `client` and `counsellor`, in words."""
    try:
        read_client(record.get("client"))
    except ValueError as problem:
        return str(problem)
    if not isinstance(record.get("counsellor"), str | None):
        return f"counsellor is {record['counsellor']!r}; allowed: an id as text"
    return None


def _unify_people(record: Record) -> None:
    """`client` and `counsellor` as every step writes them, not there where nothing is stated, in place."""
    stated = {"client": read_client(record.pop("client", None)), "counsellor": record.pop("counsellor", None)}
    record |= {name: value for name, value in stated.items() if value}


def _unify_topic(record: Record, where: str, unknown_topics: str) -> None:
    name = record.get("topic")
    if not name:
        return
    record["topic"] = find_topic(name)
    if record["topic"] is None:
        if unknown_topics == "refuse":
            raise ValueError(f"{where}: topic is {name!r}; allowed: {', '.join(TOPICS)} (or `unknown_topics` relabel)")
        record["source_topic"] = name


def passages(record: Record) -> list[tuple[Role, str]]:
    """(role, text) of everything said in a record; the question is the user's, the answer the counsellor's.

    Nobody says a system text: it is the corpus's, the same in many records, and no step judges or changes it.
    """
    if "messages" in record:
        return [(message["role"], message["content"]) for message in said(record)]
    return [("user", record["question"]), ("assistant", record["answer"])]


def said(record: Record) -> list[Message]:
    """The messages of a conversation record without its system text."""
    return [message for message in record["messages"] if message["role"] != "system"]


def set_passages(record: Record, texts: list[str]) -> None:
    """Replace the texts that `passages` gave, in the same order."""
    if "messages" in record:
        for message, text in zip(said(record), texts, strict=True):
            message["content"] = text
    else:
        record["question"], record["answer"] = texts


def to_record(conversation: Conversation) -> Record:
    """A conversation as it stands in conversations.jsonl."""
    record = {
        "id": conversation.id,
        "topic": conversation.topic,
        "messages": conversation.messages,
        "provenance": conversation.provenance,
    }
    people = {"client": conversation.client, "counsellor": conversation.counsellor}
    return record | {name: value for name, value in people.items() if value}


def to_conversation(record: Record) -> Conversation:
    """The conversation of a record; flags and labels of the cleaning stay behind."""
    return Conversation(
        record["id"],
        record["messages"],
        record.get("topic"),
        record.get("provenance") or {},
        record.get("client"),
        record.get("counsellor"),
    )
