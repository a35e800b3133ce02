"""Preference data: a prompt with a chosen and a rejected reply, or with one reply that is good or bad.

    pairs      {"prompt": [messages], "chosen": [message], "rejected": [message]}    TRL's form for DPO and ORPO
               {"chosen": [messages], "rejected": [messages]}                        the same with the prompt in both
    judged     {"prompt": [messages], "completion": [message], "label": true}        TRL's form for KTO

A text in the place of messages is one message: the user's for a prompt, the counsellor's for a reply. Thoughts before
a reply are left out; everything else in a record is left alone. `preferences` refuses these files where conversations
are read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
from datasets import Dataset, DatasetDict, Features, List, Value

from ..schema import Message
from ..splits import SPLITS, opening_key, split_all
from ..thoughts import without_thoughts
from ..turns import find_opening
from .containers import read_any
from .fields import kind, read_messages
from .json_stream import CorpusError
from .transcripts import BadRecord

MIN_ROWS = 20  # of which two are held out; fewer say nothing, and hold out nobody

_PROMPT = List({"role": Value("string"), "content": Value("string")})
PAIR_FEATURES = Features({"prompt": _PROMPT, "chosen": Value("string"), "rejected": Value("string")})
JUDGED_FEATURES = Features({"prompt": _PROMPT, "completion": Value("string"), "label": Value("bool")})


@dataclass(slots=True)
class Pair:
    """A talk up to a reply of the counsellor's, the reply that was preferred, and the other one."""

    prompt: list[Message]
    chosen: str
    rejected: str

    def row(self) -> dict[str, Any]:
        """As a record of the file."""
        replies = {"chosen": self.chosen, "rejected": self.rejected}
        return {"prompt": self.prompt} | {name: [reply_message(text)] for name, text in replies.items()}


@dataclass(slots=True)
class Judged:
    """A talk up to a reply of the counsellor's, a reply, and whether it is wanted."""

    prompt: list[Message]
    completion: str
    label: bool

    def row(self) -> dict[str, Any]:
        """As a record of the file."""
        return {"prompt": self.prompt, "completion": [reply_message(self.completion)], "label": self.label}


def reply_message(text: str) -> Message:
    """A counsellor's message."""
    return Message(role="assistant", content=text)


def read_preferences(path: Path) -> list[Pair | Judged]:
    """The records of a file of preferences, all of one form.

    Raises:
        CorpusError: a record is not of the form of the first one, or says nothing (equal or empty replies); the
            message names file, record and cause.
        OSError: there is no such file, or it cannot be read.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file; allowed: a file of preferences, as `soulchat rate pairs` writes"
        )
    found: list[Pair | Judged] = []
    for record in read_any(path):
        if record.problem is None:
            try:
                found.append(read_preference(record.value))
                if type(found[-1]) is not type(found[0]):
                    raise BadRecord(
                        f"a {_name(found[-1])}, the first is a {_name(found[0])}; allowed: one form a file"
                    )
            except BadRecord as error:
                record.problem = str(error)
        if record.problem is not None:
            raise record.error()
    return found


def _name(preference: Pair | Judged) -> str:
    return "pair" if isinstance(preference, Pair) else "judged reply"


def read_card(path: Path) -> dict[str, Any]:
    """The numbers that `soulchat rate pairs` wrote beside a file of preferences; empty where there are none.

    Raises:
        CorpusError: what is there is not JSON.
    """
    beside = path.with_suffix(".json")
    if path.suffix != ".jsonl" or not beside.is_file():
        return {}
    try:
        return orjson.loads(beside.read_bytes())
    except orjson.JSONDecodeError as error:
        raise CorpusError(f"{beside}: not JSON ({error})") from None


def read_preference(value: Any) -> Pair | Judged:
    """A record as a preference; raises BadRecord with the cause."""
    if type(value) is not dict:
        raise BadRecord(f"the record is {kind(value)}; allowed: an object")
    if value.get("completion") is not None and "label" in value:
        return _read_judged(value)
    missing = [key for key in ("chosen", "rejected") if value.get(key) is None]
    if missing:
        raise BadRecord(
            f"{' and '.join(map(repr, missing))} missing, found {list(value)}; allowed: prompt, chosen and rejected, "
            "or prompt, completion and label"
        )
    chosen, rejected = (_read_talk(value, key) for key in ("chosen", "rejected"))
    prompt = _prompt(value) if value.get("prompt") is not None else _shared_prompt(chosen, rejected)
    replies = [_reply(talk, key) for talk, key in ((chosen, "chosen"), (rejected, "rejected"))]
    if replies[0].strip() == replies[1].strip():
        raise BadRecord("'chosen' equals 'rejected'; allowed: two different replies")
    return Pair(prompt, *replies)


def _read_judged(value: dict[str, Any]) -> Judged:
    if type(value["label"]) is not bool:
        raise BadRecord(f"'label' is {value['label']!r}; allowed: true or false")
    return Judged(_prompt(value), _reply(_read_talk(value, "completion"), "completion"), value["label"])


def _read_talk(value: dict[str, Any], key: str) -> list[Message]:
    role = "user" if key == "prompt" else "assistant"
    talk = read_messages([{"role": role, "content": value[key]}] if type(value[key]) is str else value[key])
    try:
        return without_thoughts(talk)
    except ValueError as error:
        raise BadRecord(f"{key!r}: {error}") from None


def _prompt(value: dict[str, Any]) -> list[Message]:
    if value.get("prompt") is None:
        raise BadRecord(f"'prompt' is missing, found {list(value)}")
    return _checked_prompt(_read_talk(value, "prompt"))


def _shared_prompt(chosen: list[Message], rejected: list[Message]) -> list[Message]:
    """What stands before both last messages, which is taken off both."""
    if chosen[:-1] != rejected[:-1]:
        raise BadRecord(
            f"'chosen' has {len(chosen) - 1} messages before its reply and 'rejected' {len(rejected) - 1}, which are "
            "not the same; allowed: replies to one prompt"
        )
    prompt = chosen[:-1]
    del chosen[:-1], rejected[:-1]
    return _checked_prompt(prompt)


def _checked_prompt(prompt: list[Message]) -> list[Message]:
    if not any(message["role"] == "user" for message in prompt):
        raise BadRecord("'prompt' has no message of the user's; allowed: a talk that somebody began")
    if any(message["role"] == "system" for message in prompt[1:]):
        raise BadRecord("'prompt' has a system text that does not stand first")
    return prompt


def _reply(talk: list[Message], key: str) -> str:
    if len(talk) != 1 or talk[0]["role"] != "assistant":
        raise BadRecord(f"{key!r} has {len(talk)} messages; allowed: one reply of the counsellor's after the prompt")
    if not talk[0]["content"].strip():
        raise BadRecord(f"{key!r} is empty; allowed: a reply with words")
    return talk[0]["content"]


def split_preferences(found: Sequence[Pair | Judged], name: str) -> DatasetDict:
    """Rows of `PAIR_FEATURES` or `JUDGED_FEATURES` in train, validation and test, disjoint by opening.

    Raises:
        CorpusError: there are too few, or all have one opening.
    """
    if len(found) < MIN_ROWS:
        raise CorpusError(f"{name} has {len(found)} preferences; allowed: {MIN_ROWS} or more, a tenth is held out")
    features = PAIR_FEATURES if isinstance(found[0], Pair) else JUDGED_FEATURES
    splits: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    keyed = ((opening_key(find_opening(each.prompt)), 1, each) for each in found)
    for split, each in split_all(keyed):
        splits[split].append(asdict(each))
    if not splits["train"] or not splits["test"]:
        raise CorpusError(f"{name} has too few openings to hold any out; allowed: {MIN_ROWS} or more different ones")
    return DatasetDict({split: Dataset.from_list(rows, features=features) for split, rows in splits.items()})


def to_judged(pairs: Dataset) -> Dataset:
    """Rows of pairs as judged replies: each chosen one is good, each rejected one bad."""

    def halves() -> Iterator[dict[str, Any]]:
        for row in pairs:
            yield {"prompt": row["prompt"], "completion": row["chosen"], "label": True}
            yield {"prompt": row["prompt"], "completion": row["rejected"], "label": False}

    return Dataset.from_list(list(halves()), features=JUDGED_FEATURES)
