"""Conversations as Arrow tables, and turns out of them in bulk.

A turn's prompt is a piece of its conversation's rendered text: from the start of the conversation to the end of the
counsellor's cue. So a batch is rendered once, as one buffer, and prompts are slices of it.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .dialogue import COUNSELLOR_CUE, ROLE_PREFIXES
from .schema import FEATURES, TOPICS, Conversation

CONVERSATION_SCHEMA = FEATURES["conversations"].arrow_schema
TURN_SCHEMA = FEATURES["turns"].arrow_schema
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
    ]
    return pa.Table.from_arrays(columns, schema=CONVERSATION_SCHEMA)


def turn_table(conversations: pa.Table) -> pa.Table:
    """The rows of config `turns` for a table of config `conversations`: those of `turns.split_turns`, in bulk."""
    batches = [_turns_of_batch(batch) for batch in conversations.combine_chunks().to_batches()]
    return pa.Table.from_batches(batches, schema=TURN_SCHEMA)


def find_openings(conversations: pa.Table) -> list[str]:
    """The first message of each conversation."""
    offsets, _, content = message_arrays(conversations.column("messages").combine_chunks())
    return content.take(pa.array(offsets[:-1])).to_pylist()


def turn_counts(conversations: pa.Table) -> np.ndarray:
    """How many turns each conversation has; int64 [conversations]."""
    offsets, is_counsellor, _ = message_arrays(conversations.column("messages").combine_chunks())
    return np.bincount(find_turns(is_counsellor, offsets)[1], minlength=len(offsets) - 1)


def find_turns(is_counsellor: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which messages complete a turn: those of the counsellor after the user's first in their conversation.

    Args:
        is_counsellor: bool [messages].
        offsets: int [conversations + 1]; the messages of conversation c are offsets[c] to offsets[c + 1].

    Returns:
        Positions of the turns' messages, and the conversation of each turn; both int64 [turns].
    """
    conversation = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    users = np.concatenate([[0], np.cumsum(~is_counsellor)])
    user_spoke = users[:-1] > users[offsets[:-1]][conversation]
    positions = np.flatnonzero(is_counsellor & user_spoke)
    return positions, conversation[positions]


def message_arrays(messages: pa.ListArray) -> tuple[np.ndarray, np.ndarray, pa.StringArray]:
    """Of a `messages` column: int offsets [conversations + 1], bool is-counsellor [messages], contents."""
    offsets = messages.offsets.to_numpy()
    message = messages.flatten()
    role, content = (message.flatten()[message.type.get_field_index(name)] for name in ("role", "content"))
    is_counsellor = pc.equal(role, "assistant").to_numpy(zero_copy_only=False)
    return offsets - offsets[0], is_counsellor, content


def string_buffers(strings: pa.StringArray) -> tuple[np.ndarray, memoryview]:
    """Byte offsets [n + 1] and the UTF-8 bytes of a string column without nulls; text i is offsets[i] to [i + 1]."""
    _, offsets, data = strings.buffers()
    view = np.frombuffer(offsets, np.int32)[strings.offset : strings.offset + len(strings) + 1]
    return view, memoryview(data if data is not None else b"").cast("B")


def _turns_of_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    offsets, is_counsellor, content = message_arrays(batch.column("messages"))
    positions, conversation = find_turns(is_counsellor, offsets)
    prefix = pc.if_else(is_counsellor, COUNSELLOR_CUE, ROLE_PREFIXES["user"])
    line_ends, text = string_buffers(pc.binary_join_element_wise(prefix, content, "\n", ""))
    starts = line_ends[offsets[:-1]][conversation]
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
        _slices(text, starts, ends),
        content.take(pa.array(positions)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=TURN_SCHEMA)


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
