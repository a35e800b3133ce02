"""Conversations as Arrow tables, and turns out of them in bulk.

A turn's prompt is a piece of its conversation's rendered text: from the first words after the system text to the end
of the counsellor's cue. So a batch is rendered once, as one buffer, and prompts are slices of it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .dialogue import COUNSELLOR_CUE, ROLE_PREFIXES
from .features import FEATURES, PEOPLE
from .schema import TOPICS, Conversation

CONVERSATION_SCHEMA = FEATURES["conversations"].arrow_schema
TURN_SCHEMA = FEATURES["turns"].arrow_schema
PEOPLE_TYPES = {name: CONVERSATION_SCHEMA.field(name).type for name in PEOPLE}
CUE_BYTES = len(COUNSELLOR_CUE.encode())

TOPIC_NUMBERS: dict[str | None, int] = {topic: number for number, topic in enumerate(TOPICS)}


def conversation_table(conversations: Sequence[Conversation]) -> pa.Table:
    """A table of config `conversations`, at most some thousand of them (text offsets are 32-bit)."""
    messages = [message for conversation in conversations for message in conversation.messages]
    offsets = np.zeros(len(conversations) + 1, np.int32)
    np.cumsum([len(conversation.messages) for conversation in conversations], out=offsets[1:])
    texts = [
        pa.array([message["role"] for message in messages], pa.string()),
        pa.array([message["content"] for message in messages], pa.string()),
    ]
    message_type = CONVERSATION_SCHEMA.field("messages").type
    columns = [
        pa.array([conversation.id for conversation in conversations], pa.string()),
        pa.array([TOPIC_NUMBERS.get(conversation.topic) for conversation in conversations], pa.int64()),
        pa.ListArray.from_arrays(
            pa.array(offsets), pa.StructArray.from_arrays(texts, fields=list(message_type.value_type)), message_type
        ),
        pa.array([conversation.client for conversation in conversations], PEOPLE_TYPES["client"]),
        pa.array([conversation.counsellor for conversation in conversations], PEOPLE_TYPES["counsellor"]),
    ]
    return pa.Table.from_arrays(columns, schema=CONVERSATION_SCHEMA)


def turn_table(conversations: pa.Table) -> pa.Table:
    """The rows of config `turns` for a table of config `conversations`: those of `turns.split_turns`, in bulk."""
    batches = [_turns_of_batch(batch) for batch in conversations.combine_chunks().to_batches()]
    return pa.Table.from_batches(batches, schema=TURN_SCHEMA)


def to_config(conversations: pa.Table, config: str) -> pa.Table:
    """The rows of `config`, turns or conversations, for a table of config `conversations`."""
    return turn_table(conversations) if config == "turns" else conversations


def openings_and_turns(conversations: pa.Table) -> tuple[list[str], np.ndarray]:
    """`turns.find_opening` of each conversation, and how many turns each has (int64 [conversations])."""
    messages = Messages.of(conversations.column("messages").combine_chunks())
    turns = np.bincount(find_turns(messages)[1], minlength=len(messages.openings))
    return messages.content.take(pa.array(messages.openings)).to_pylist(), turns


def num_turns(conversations: pa.Table) -> int:
    """How many turns the conversations have together."""
    return len(find_turns(Messages.of(conversations.column("messages").combine_chunks()))[0])


class Messages(NamedTuple):
    """A column `messages` of C conversations, as flat arrays over their M messages.

    Attributes:
        offsets: int32 [C + 1]; the messages of conversation c are offsets[c] to offsets[c + 1].
        openings: int32 [C], the first message of each that is not a system text.
        is_user: bool [M], True for the user's.
        is_counsellor: bool [M], True for the counsellor's.
        content: the texts [M].
    """

    offsets: np.ndarray
    openings: np.ndarray
    is_user: np.ndarray
    is_counsellor: np.ndarray
    content: pa.StringArray

    @classmethod
    def of(cls, column: pa.ListArray) -> "Messages":
        """Raises ValueError for a role that is neither of the two, but "system" in a conversation's first place."""
        offsets = column.offsets.to_numpy()
        offsets = offsets - offsets[0]
        message = column.flatten()
        role, content = (message.flatten()[message.type.get_field_index(name)] for name in ("role", "content"))
        is_user, is_counsellor = (
            pc.equal(role, name).to_numpy(zero_copy_only=False) for name in ("user", "assistant")
        )
        openings = offsets[:-1]
        others = np.flatnonzero(~(is_user | is_counsellor))
        if len(others):
            wrong = ~np.isin(others, openings) | pc.not_equal(role.take(pa.array(others)), "system").to_numpy(False)
            if wrong.any():
                raise ValueError(
                    f"a message has role {role[others[wrong][0]].as_py()!r}; allowed: user, assistant, and system in "
                    "the first place"
                )
            openings = openings + (np.isin(openings, others) & (np.diff(offsets) > 0))
        return cls(offsets, openings, is_user, is_counsellor, content)

    @property
    def has_system(self) -> np.ndarray:
        """bool [C], True for a conversation that starts with a system text."""
        return self.openings > self.offsets[:-1]


def find_turns(messages: Messages) -> tuple[np.ndarray, np.ndarray]:
    """Which messages complete a turn: `turns.find_targets` of every conversation.

    Returns:
        Positions of the turns' messages, and the conversation of each turn; both int64 [turns].
    """
    offsets = messages.offsets
    conversation = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    users = np.concatenate([[0], np.cumsum(messages.is_user)])
    user_spoke = users[:-1] > users[offsets[:-1]][conversation]
    positions = np.flatnonzero(messages.is_counsellor & user_spoke)
    return positions, conversation[positions]


def string_buffers(strings: pa.StringArray) -> tuple[np.ndarray, memoryview]:
    """Byte offsets [n + 1] and the UTF-8 bytes of a string column without nulls; text i is offsets[i] to [i + 1]."""
    _, offsets, data = strings.buffers()
    view = np.frombuffer(offsets, np.int32)[strings.offset : strings.offset + len(strings) + 1]
    return view, memoryview(data if data is not None else b"").cast("B")


def _turns_of_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    messages = Messages.of(batch.column("messages"))
    offsets, content = messages.offsets, messages.content
    positions, conversation = find_turns(messages)
    prefix = pc.if_else(messages.is_counsellor, COUNSELLOR_CUE, ROLE_PREFIXES["user"])
    line_ends, text = string_buffers(pc.binary_join_element_wise(prefix, content, "\n", ""))
    starts = line_ends[messages.openings][conversation]
    ends = line_ends[positions] + CUE_BYTES
    first_turns = np.searchsorted(conversation, np.arange(len(offsets) - 1))
    turn = np.arange(1, len(positions) + 1) - first_turns[conversation]
    ids = batch.column("id").take(pa.array(conversation))
    numbers = pa.array(turn, pa.int32())
    columns = [
        pc.binary_join_element_wise(ids, numbers.cast(pa.string()), "-"),
        ids,
        numbers,
        batch.column("topic").take(pa.array(conversation)),
        content.take(pa.array(offsets[:-1][conversation], mask=~messages.has_system[conversation])),
        _slices(text, starts, ends),
        content.take(pa.array(positions)),
        *(_per_turn(batch.column(name), conversation) for name in PEOPLE),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=TURN_SCHEMA)


def _per_turn(column: pa.Array, conversation: np.ndarray) -> pa.Array:
    """The values of a column of conversations for each turn."""
    if column.null_count == len(column):  # as in most corpora; nested columns are slow to take from
        return pa.nulls(len(conversation), column.type)
    return column.take(pa.array(conversation))


def _slices(text: memoryview, starts: np.ndarray, ends: np.ndarray) -> pa.StringArray:
    """A string column whose text i is `text[starts[i]:ends[i]]`; each has more than 12 bytes.

    Arrow's view of a text that long is its length, its first four bytes, its buffer's number and its place there.
    Views cost no copy to make, and the cast copies all texts at once.
    """
    views = np.zeros((len(starts), 4), np.int32)
    views[:, 0] = ends - starts
    views[:, 1] = np.frombuffer(text, np.uint8)[starts[:, None] + np.arange(4)].view(np.int32)[:, 0]
    views[:, 3] = starts
    buffers = [None, pa.py_buffer(views), pa.py_buffer(text)]
    return pa.Array.from_buffers(pa.string_view(), len(starts), buffers).cast(pa.string())
