"""Turns read straight out of stored conversations: the rows of config `turns` at a quarter of their size.

A stored turns table repeats a conversation's text in every one of its prompts. `TurnView` keeps the conversations
(memory-mapped, as `datasets` left them) and the places of the turns in them, and renders a row when it is read.
"""

import operator
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset

from .dialogue import ROLE_PREFIXES
from .features import CONVERSATION_FEATURES, PEOPLE, TURN_FEATURES
from .tables import Messages, find_turns, string_buffers

_STARTS = (f"\n{ROLE_PREFIXES['user']}".encode(), f"\n{ROLE_PREFIXES['assistant']}".encode())  # by is-counsellor


class TurnView:
    """A map-style data set (`len`, an index) over the turns of a `Dataset` of config `conversations`.

    Row i equals row i of the turns config made of the same conversations: `TurnView(conversations)[i] == turns[i]`.
    It can be handed to a `torch.utils.data.DataLoader`, and to its worker processes; or to `SoulChatTrainer`.

    Attributes:
        conversations: as given.

    Raises:
        ValueError: what is given is not one split of config `conversations`, or a message has another role.
    """

    features = TURN_FEATURES

    def __init__(self, conversations: Dataset) -> None:
        found = getattr(conversations, "features", None)  # a DatasetDict has none
        needed = CONVERSATION_FEATURES
        if not found or "topic" not in found or any(found.get(name) != needed[name] for name in ("id", "messages")):
            raise ValueError(
                f"TurnView reads one split of config conversations, found {found or type(conversations).__name__}"
            )
        self.conversations = conversations
        table = conversations.with_format("arrow")[:]
        self._chunks = [_Chunk.of(batch) for batch in table.to_batches()]
        self._starts = np.cumsum([0, *(len(chunk.positions) for chunk in self._chunks)]).tolist()

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: int) -> dict[str, Any]:
        index = operator.index(index)
        if not -len(self) <= index < len(self):
            raise IndexError(f"turn {index} of {len(self)}")
        index %= len(self)
        number = bisect_right(self._starts, index) - 1
        return self._chunks[number].row(index - self._starts[number])

    def __getitems__(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        return [self[index] for index in indices]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (chunk.row(turn) for chunk in self._chunks for turn in range(len(chunk.positions)))

    def __reduce__(self) -> tuple:
        return TurnView, (self.conversations,)


@dataclass(slots=True)
class _Chunk:
    """One record batch: T turns of C conversations with M messages. Memoryviews, since those are quick to index.

    Attributes:
        id_offsets, ids: int32 [C + 1] bytes of each id in the UTF-8 of all ids.
        topics: numbers of the topics [C], or None.
        people: `client` and `counsellor` of each conversation [C]; empty where none is stated.
        starts: int32 [C], first message of each conversation.
        openings: int32 [C], the first that is not a system text.
        is_counsellor: bool [M].
        text_offsets, text: int32 [M + 1] bytes of each message in the UTF-8 of all contents.
        positions, conversations: int32 [T], each turn's message and conversation.
        first_turns: int32 [C], the first turn of each conversation.
    """

    id_offsets: memoryview
    ids: memoryview
    topics: list[int | None]
    people: dict[str, list[Any]]
    starts: memoryview
    openings: memoryview
    is_counsellor: memoryview
    text_offsets: memoryview
    text: memoryview
    positions: memoryview
    conversations: memoryview
    first_turns: memoryview

    @classmethod
    def of(cls, batch: pa.RecordBatch) -> "_Chunk":
        messages = Messages.of(batch.column("messages"))
        positions, conversations = find_turns(messages)
        first_turns = np.searchsorted(conversations, np.arange(len(batch)))
        id_offsets, ids = string_buffers(batch.column("id"))
        text_offsets, text = string_buffers(messages.content)
        return cls(
            memoryview(id_offsets),
            ids,
            batch.column("topic").to_pylist(),
            {name: _values(batch, name) for name in PEOPLE},
            memoryview(messages.offsets[:-1]),
            memoryview(messages.openings),
            memoryview(messages.is_counsellor),
            memoryview(text_offsets),
            text,
            *(memoryview(places.astype(np.int32)) for places in (positions, conversations, first_turns)),
        )

    def row(self, turn: int) -> dict[str, Any]:
        conversation = self.conversations[turn]
        first, position = self.openings[conversation], self.positions[turn]
        text, start, *ends = self.text, *self.text_offsets[first : position + 2].tolist()
        lines: list[bytes | memoryview] = []
        for is_counsellor, end in zip(self.is_counsellor[first : position + 1], ends, strict=True):
            lines.append(_STARTS[is_counsellor])
            lines.append(text[start:end])
            start = end
        completion = str(lines.pop(), "utf-8")
        id = str(self.ids[self.id_offsets[conversation] : self.id_offsets[conversation + 1]], "utf-8")
        number = turn - self.first_turns[conversation] + 1
        return {
            "id": f"{id}-{number}",
            "conversation_id": id,
            "turn": number,
            "topic": self.topics[conversation],
            "system": self._system(conversation),
            "prompt": b"".join(lines)[1:].decode(),
            "completion": completion,
            **{name: values[conversation] if values else None for name, values in self.people.items()},
        }

    def _system(self, conversation: int) -> str | None:
        start, opening = self.starts[conversation], self.openings[conversation]
        return None if start == opening else str(self.text[slice(*self.text_offsets[start : start + 2])], "utf-8")


def _values(batch: pa.RecordBatch, name: str) -> list[Any]:
    """The values of a column; none where it is not there (in corpora of older versions) or has nothing but nulls."""
    if name not in batch.schema.names or batch.column(name).null_count == len(batch):
        return []
    return batch.column(name).to_pylist()
