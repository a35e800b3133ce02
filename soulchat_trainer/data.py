"""The corpus of a run: splits by name or from a file, what stands in their rows, and the fingerprint for results.

Rows are conversations (`messages`) or turns (`prompt` in the paper's form, `completion`, perhaps a `system` text); the
latter are read back into messages here and nowhere else. Thoughts before a reply, which corpora made with a model that
thinks have in <think>…</think>, are left out here: only replies are learned and scored.
"""

import hashlib
import itertools
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import orjson
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from transformers.utils import logging

import soulchatcorpus  # makes its name known to load_dataset
from hub_cards.results import DataSet
from soulchatcorpus import Conversation, Message
from soulchatcorpus.clients import Client
from soulchatcorpus.dialogue import COUNSELLOR_CUE, ROLE_PREFIXES, parse
from soulchatcorpus.features import PEOPLE
from soulchatcorpus.load import check_dataset_name, load_splits
from soulchatcorpus.reading.pairs import read_preference, read_preferences, split_preferences
from soulchatcorpus.reading.transcripts import BadRecord
from soulchatcorpus.thoughts import without_thoughts
from soulchatcorpus.turns import Turn, count_turns, find_opening, find_targets, split_turns

logger = logging.get_logger(__name__)

# What the embedded sample is called in results: it is SMILECHAT, not the SoulChat release.
DATASET_NAMES = {soulchatcorpus.__name__: {"name": "smilechat-1k", "licence": "cc0-1.0"}}
MAX_SAMPLES = 10_000  # the paper, section 3.3
TURN_COLUMNS = ("id", "conversation_id", "turn", "topic", "system", "prompt", "completion", *PEOPLE)
CONVERSATION_COLUMNS = ("id", "topic", "messages", *PEOPLE)
TURNS = Features({name: Value("string") for name in ("id", "system", "prompt", "completion")})
JUDGEMENTS = ("chosen", "rejected", "label")  # columns of preference data
READ_ROWS = 1000  # at once: one by one takes ten times as long


@dataclass(slots=True)
class TrainingConversation:
    """Messages, and the numbers of those that are targets."""

    messages: list[Message]
    targets: list[int]


@dataclass(slots=True)
class RowTurn(Turn):
    """A turn that somebody handed in as a row: it keeps the row's own id."""

    row_id: str = ""

    @property
    def id(self) -> str:
        return self.row_id


def load_corpus(name: str) -> DatasetDict:
    """Conversations in splits train, validation and test.

    Args:
        name: a name for `load_dataset`, or a file of conversations in any format that `soulchatcorpus` reads, which is
            split by opening here, so that no first message stands on two sides.

    Raises:
        OSError, ValueError: there is no such data set or file, or it is no corpus of conversations.
    """
    if Path(name).is_file():
        return load_splits(soulchatcorpus.__name__, "conversations", data_files=name)
    check_dataset_name(name)
    return load_named(name)


def load_preferences(name: str) -> DatasetDict:
    """Preferences in splits train, validation and test: rows of `soulchatcorpus.reading.pairs`.

    Args:
        name: a file of pairs or judged replies, or a name for `load_dataset` whose split train holds rows of these
            forms; both are split by opening here.

    Raises:
        OSError, ValueError: there is no such data set or file, or its rows are no preferences.
    """
    if Path(name).is_file():
        return split_preferences(read_preferences(Path(name)), name)
    check_dataset_name(name)
    corpus = load_splits(name)
    if "train" not in corpus:
        raise ValueError(f"dataset {name} has no split train; found {', '.join(corpus)}")
    try:
        return split_preferences([read_preference(row) for row in corpus["train"]], name)
    except BadRecord as error:
        raise ValueError(f"dataset {name}: {error}") from None


def preferred_turns(preferences: DatasetDict) -> DatasetDict:
    """The replies that are wanted as rows of turns, whose prompts are in the paper's form."""

    def turn(row: dict[str, Any], number: int) -> dict[str, Any]:
        turn = Turn(str(number), 1, row["prompt"], row["chosen"] if "chosen" in row else row["completion"])
        return {"id": turn.id, "system": turn.system, "prompt": turn.prompt, "completion": turn.completion}

    wanted = DatasetDict(
        {
            split: rows.filter(lambda row: row["label"]) if "label" in rows.column_names else rows
            for split, rows in preferences.items()
        }
    )
    return DatasetDict(
        {
            split: rows.map(turn, with_indices=True, remove_columns=rows.column_names, features=TURNS)
            for split, rows in wanted.items()
        }
    )


def load_named(name: str) -> DatasetDict:
    """`load_dataset` by name; our own corpora as conversations, others as conversations or turns."""
    configs = datasets.get_dataset_config_names(name)
    corpus = load_splits(name, "conversations" if "conversations" in configs else configs[0])
    if "train" not in corpus:
        raise ValueError(f"dataset {name} has no split train; found {', '.join(corpus)}")
    _has_messages(corpus["train"].column_names, f"dataset {name}")
    return corpus


def is_preferences(corpus: DatasetDict) -> bool:
    """Whether the rows say which replies are better or good."""
    return any(column in JUDGEMENTS for rows in corpus.values() for column in rows.column_names)


def _has_messages(columns: Iterable[str], name: str = "a data set") -> bool:
    """True for rows of conversations, False for rows of turns; raises ValueError for others."""
    columns = list(columns)
    if judged := [column for column in columns if column in JUDGEMENTS]:
        raise ValueError(
            f"{name} is preference data, by its columns {', '.join(judged)}; allowed: conversations whose every reply "
            "is to be learned, or objective dpo, kto or orpo"
        )
    if "messages" not in columns and not {"prompt", "completion"} <= set(columns):
        raise ValueError(f"{name} has columns {', '.join(columns)}; allowed: messages, or prompt and completion")
    return "messages" in columns


def corpus_fingerprint(corpus: DatasetDict) -> str:
    """SHA-256 over the text of all rows, split by split: the same data has the same one on every machine."""
    digest = hashlib.sha256()
    for split in sorted(corpus):
        digest.update(split.encode())
        columns = [c for c in ("messages", "prompt", "completion", *JUDGEMENTS) if c in corpus[split].column_names]
        for batch in corpus[split].select_columns(columns).iter(batch_size=1000):
            digest.update(orjson.dumps(batch))
    return digest.hexdigest()


class StoredTurns:
    """The turns of a split, read anew each time; a row without an id is called by its number.

    Raises:
        ValueError: a column is missing; while it is read, a prompt is not of the paper's form.
    """

    def __init__(self, rows: Dataset) -> None:
        self.has_messages = _has_messages(rows.column_names)
        known = CONVERSATION_COLUMNS if self.has_messages else TURN_COLUMNS
        foreign = [name for name in PEOPLE if name in rows.features and not _is_ours(name, rows.features)]
        self.rows = rows.select_columns([c for c in known if c in rows.column_names and c not in foreign])
        topics = self.rows.features.get("topic")
        self._topics = topics.names if isinstance(topics, ClassLabel) else None

    def __iter__(self) -> Iterator[Turn]:
        rows = enumerate(self._read())
        if not self.has_messages:
            return (read_turn(row, number) for number, row in rows)
        return (turn for number, row in rows for turn in split_turns(_read_conversation(row, number)))

    def openings(self) -> Iterator[str]:
        """The first message of each conversation, of each row where rows are turns."""
        return (find_opening(row["messages"] if self.has_messages else parse(row["prompt"])) for row in self._read())

    def count(self) -> int:
        """How many there are."""
        if not self.has_messages:
            return len(self.rows)
        return sum(count_turns(row["messages"]) for row in self._read())

    def _read(self) -> Iterator[dict[str, Any]]:
        for batch in self.rows.iter(batch_size=READ_ROWS):
            if self._topics is not None:
                batch["topic"] = [_name(self._topics, number) for number in batch["topic"]]
            yield from _rows(batch)


def _name(names: Sequence[str], number: int | None) -> str | None:
    """The name of a label; -1 stands for a missing one, as null does."""
    return None if number is None or number < 0 else names[number]


def _is_ours(name: str, features: Features) -> bool:
    """Whether a column called `client` or `counsellor` is what we mean by it; others use these words, too."""
    feature, own = features[name], PEOPLE[name]
    return set(feature) <= set(own) if isinstance(own, dict) and isinstance(feature, dict) else feature == own


def _read_conversation(row: Mapping[str, Any], number: int) -> Conversation:
    id_ = str(row.get("id", number))
    return Conversation(id_, check_messages(row["messages"], id_), **_said_of(row))


def _said_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Topic, client and counsellor of a row, as far as it has them."""
    client: Client = {name: value for name, value in (row.get("client") or {}).items() if value is not None}
    return {"topic": row.get("topic"), "client": client or None, "counsellor": row.get("counsellor")}


def list_turns(rows: Dataset) -> list[Turn]:
    """All `StoredTurns` of a split."""
    return list(StoredTurns(rows))


def read_batch(batch: Mapping[str, Sequence[Any]]) -> list[TrainingConversation]:
    """A batch of columns as conversations; raises ValueError as `list_turns` does."""
    if _has_messages(batch):
        ids = batch.get("id", range(len(batch["messages"])))
        talks = [check_messages(talk, str(id_)) for talk, id_ in zip(batch["messages"], ids, strict=True)]
        return [TrainingConversation(messages, find_targets(messages)) for messages in talks]
    return group_turns(read_turn(row, number) for number, row in enumerate(_rows(batch)))


def check_messages(messages: Any, row: str) -> list[Message]:
    """The messages of a row, which may be of a data set that was not built here, without thoughts before replies.

    Raises:
        ValueError: they are no list, a role or a content is none of `schema.Message`, or no reply follows a thought.
    """
    if not isinstance(messages, list):
        raise ValueError(f"messages of row {row} is {messages!r}; allowed: a list of messages")
    for number, message in enumerate(messages):
        role, content = message["role"], message["content"]
        roles = ("user", "assistant") if number else ("system", "user", "assistant")
        if role not in roles:
            raise ValueError(f"message {number + 1} of row {row} has role {role!r}; allowed: {', '.join(roles)}")
        if not isinstance(content, str):
            raise ValueError(f"message {number + 1} of row {row} has a {type(content).__name__}; allowed: text")
    return _leave_out_thoughts(messages, row)


def _leave_out_thoughts(messages: list[Message], row: str) -> list[Message]:
    try:
        said = without_thoughts(messages)
    except ValueError as error:
        raise ValueError(f"row {row}: {error}") from None
    if said != messages:
        logger.warning_once("replies have thoughts before them (<think>…</think>), which are left out")
    return said


def _rows(batch: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    return (dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True))


def read_turn(row: Mapping[str, Any], number: int) -> RowTurn:
    """A row with `prompt` and `completion` as a turn; `number` stands for an id where it has none.

    Raises:
        ValueError: the prompt is not of the form that `dialogue.render_prompt` writes; no reply follows a thought.
    """
    id_, prompt, system = str(row.get("id", number)), row["prompt"], row.get("system")
    if not isinstance(prompt, str) or not isinstance(row["completion"], str):
        raise ValueError(f"prompt or completion of row {id_} is none; allowed: text")
    talk = parse(prompt)
    if not prompt.endswith("\n" + COUNSELLOR_CUE) or all(message["role"] != "user" for message in talk):
        raise ValueError(
            f"the prompt of row {id_} ends in {prompt[-40:]!r}; allowed: lines that begin with "
            f"{' or '.join(ROLE_PREFIXES.values())}, one of them the user's, and then {COUNSELLOR_CUE!r}"
        )
    context = talk if system is None else [Message(role="system", content=system), *talk]
    *context, reply = _leave_out_thoughts([*context, Message(role="assistant", content=row["completion"])], id_)
    conversation, turn = str(row.get("conversation_id", id_)), row.get("turn", 1)
    return RowTurn(conversation, turn, context, reply["content"], **_said_of(row), row_id=id_)


def group_turns(turns: Iterable[Turn]) -> list[TrainingConversation]:
    """Turns to conversations, so that shared contexts meet again.

    Neighbouring turns of one conversation are joined where one is the beginning of the other; a turn that is not (its
    history was edited) becomes a conversation of its own.
    """
    conversations: list[TrainingConversation] = []
    for _, group in itertools.groupby(turns, key=lambda turn: turn.conversation_id):
        joined: list[TrainingConversation] = []
        for turn in sorted(group, key=lambda turn: -len(turn.context)):
            messages = [*turn.context, Message(role="assistant", content=turn.completion)]
            whole = next((other for other in joined if other.messages[: len(messages)] == messages), None)
            if whole is None:
                joined.append(TrainingConversation(messages, [len(turn.context)]))
            elif len(turn.context) not in whole.targets:
                whole.targets.insert(0, len(turn.context))
        conversations += joined
    return conversations


def sample_turns(turns: Sequence[Turn], samples: int | None, seed: int) -> list[Turn]:
    """Test turns without replacement, in their order; by default all, at most 10,000 (the paper, section 3.3).

    Raises:
        ValueError: more are asked for than there are, or fewer than one; there are none; an id stands twice.
    """
    if len({turn.id for turn in turns}) < len(turns):
        raise ValueError(f"the {len(turns)} test turns share ids; allowed: an id of its own for each")
    wanted = min(len(turns), MAX_SAMPLES) if samples is None else samples
    if not 1 <= wanted <= len(turns):
        raise ValueError(f"{wanted} samples are asked for and the test split has {len(turns)}; allowed: 1 to that")
    chosen = sorted(random.Random(seed).sample(range(len(turns)), wanted))
    return [turns[index] for index in chosen]


def sample_test_turns(name: str, corpus: DatasetDict, samples: int | None, seed: int) -> list[Turn]:
    """`sample_turns` of a corpus's test split.

    Raises:
        ValueError: there is no test split, or not so many turns in it.
    """
    if "test" not in corpus:
        raise ValueError(f"dataset {name} has no test split; found {', '.join(corpus)}")
    return sample_turns(list_turns(corpus["test"]), samples, seed)


def turns_fingerprint(turns: Iterable[Turn]) -> str:
    """SHA-256 over id, context and completion of the turns: equal exactly where the same samples were scored."""
    digest = hashlib.sha256()
    for turn in turns:
        digest.update(orjson.dumps([turn.id, turn.context, turn.completion]))
    return digest.hexdigest()


def describe_dataset(name: str, corpus: DatasetDict, fingerprint: str) -> DataSet:
    """The `dataset` part of results.json, with the number of turns by split."""
    known = DATASET_NAMES.get(name, {})
    return DataSet(
        name=known.get("name", Path(name).name),
        config="preferences" if is_preferences(corpus) else "turns",
        fingerprint=fingerprint,
        splits={
            split: len(rows) if is_preferences(corpus) else StoredTurns(rows).count() for split, rows in corpus.items()
        },
        licence=known.get("licence", next(iter(corpus.values())).info.license or None),
    )
