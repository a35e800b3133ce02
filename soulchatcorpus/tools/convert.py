"""Any corpus into one file: turns, conversations, or the forms that LLaMA-Factory and others read.

sharegpt   {"id", "conversations": [{"from": "human"|"gpt", "value"}], "system"}
alpaca     {"id", "instruction", "input", "output", "history": [[user, assistant], …], "system"}

The last two want the user and the counsellor in turn, the user first and the counsellor last. So there, messages of
one speaker in a row are joined by a line break, and what comes before the user's first word or after the counsellor's
last is left out; `Conversion.left_out` counts it.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from ..files import replacing, to_line
from ..reading.corpus import BATCH_CONVERSATIONS, OnError, Report, read_corpus
from ..reading.json_stream import CorpusError
from ..schema import Conversation
from ..tables import CONVERSATION_SCHEMA, TURN_SCHEMA, conversation_table, turn_table
from ..turns import split_turns

_TEXT_PAIR = pa.struct([("from", pa.string()), ("value", pa.string())])
SCHEMAS = {
    "turns": TURN_SCHEMA,
    "conversations": CONVERSATION_SCHEMA,
    "sharegpt": pa.schema([("id", pa.string()), ("conversations", pa.list_(_TEXT_PAIR)), ("system", pa.string())]),
    "alpaca": pa.schema(
        [(name, pa.string()) for name in ("id", "instruction", "input", "output", "system")]
        + [("history", pa.list_(pa.list_(pa.string())))]
    ),
}


@dataclass(slots=True)
class Conversion:
    """What a conversion wrote: the rows, the report of the reading, and what the target could not carry."""

    rows: int = 0
    report: Report = field(default_factory=Report)
    left_out: Counter[str] = field(default_factory=Counter)


def convert(
    source: str | Path, output: str | Path, to: str, format: str | None = None, on_error: OnError = "raise"
) -> Conversion:
    """Write the corpus `source` as `output`, which ends in .jsonl or .parquet.

    With on_error="skip" the rejected records go to `{output}.rejected.jsonl`, with their reasons. All files appear
    whole or not at all.

    Raises:
        CorpusError: bad input, an unknown target, or another ending.
    """
    output = Path(output)
    if to not in SCHEMAS:
        raise CorpusError(f"unknown target {to!r}, allowed: {', '.join(SCHEMAS)}")
    if output.suffix not in (".jsonl", ".parquet"):
        raise CorpusError(f"{output}: the output ends in .jsonl or .parquet, found {output.suffix or 'no ending'!r}")
    if not output.parent.is_dir():
        raise CorpusError(f"{output.parent}: no such folder to write to")
    conversion = Conversion()
    rejected = output.with_name(output.name + ".rejected.jsonl")
    with ExitStack() as files:
        file = files.enter_context(replacing(output))
        if on_error == "skip":
            conversion.report.rejects = files.enter_context(replacing(rejected))
        conversations = read_corpus(source, format, on_error, conversion.report)
        write = _write_jsonl if output.suffix == ".jsonl" else _write_parquet
        write(file, conversations, to, conversion)
    if on_error == "skip" and not conversion.report.rejected:
        rejected.unlink()
    return conversion


def to_sharegpt(conversation: Conversation, left_out: Counter[str]) -> dict[str, Any] | None:
    """The row of a conversation, None where it has no pair of user and counsellor."""
    pairs = _pairs(conversation, left_out)
    values = [
        {"from": speaker, "value": text}
        for pair in pairs
        for speaker, text in zip(("human", "gpt"), pair, strict=True)
    ]
    return {"id": conversation.id, "conversations": values, "system": _system(conversation)} if pairs else None


def to_alpaca(conversation: Conversation, left_out: Counter[str]) -> dict[str, Any] | None:
    """The row of a conversation, its last pair the instruction and output; None where it has no pair."""
    pairs = _pairs(conversation, left_out)
    if not pairs:
        return None
    (instruction, output), history = pairs[-1], pairs[:-1]
    row = {"id": conversation.id, "instruction": instruction, "input": "", "output": output}
    return row | {"history": history, "system": _system(conversation)}


def _pairs(conversation: Conversation, left_out: Counter[str]) -> list[list[str]]:
    runs = [(role, list(run)) for role, run in groupby(conversation.messages, key=lambda message: message["role"])]
    if runs[0][0] == "assistant":
        left_out["messages before the user's first"] += len(runs.pop(0)[1])
    if runs and runs[-1][0] == "user":
        left_out["messages after the counsellor's last"] += len(runs.pop()[1])
    if not runs:
        left_out["conversations without a pair of user and counsellor"] += 1
    texts = ["\n".join(message["content"] for message in run) for _, run in runs]
    return [list(pair) for pair in zip(texts[::2], texts[1::2], strict=True)]


def _system(conversation: Conversation) -> str:
    return "\n".join(conversation.provenance.get("system", []))


def _rows(conversation: Conversation, to: str, left_out: Counter[str]) -> Iterator[dict[str, Any]]:
    if to == "turns":
        for turn in split_turns(conversation):
            yield turn.row()
    elif to == "conversations":
        yield {"id": conversation.id, "topic": conversation.topic, "messages": conversation.messages}
    else:
        row = (to_sharegpt if to == "sharegpt" else to_alpaca)(conversation, left_out)
        if row is not None:
            yield row


def _table(conversations: Sequence[Conversation], to: str, left_out: Counter[str]) -> pa.Table:
    if to == "conversations":
        return conversation_table(conversations)
    if to == "turns":
        return turn_table(conversation_table(conversations))
    rows = [row for conversation in conversations for row in _rows(conversation, to, left_out)]
    return pa.Table.from_pylist(rows, schema=SCHEMAS[to])


def _write_jsonl(file: BinaryIO, conversations: Iterator[Conversation], to: str, conversion: Conversion) -> None:
    for conversation in conversations:
        for row in _rows(conversation, to, conversion.left_out):
            file.write(to_line(row))
            conversion.rows += 1


def _write_parquet(file: BinaryIO, conversations: Iterator[Conversation], to: str, conversion: Conversion) -> None:
    with pq.ParquetWriter(file, SCHEMAS[to], compression="zstd") as writer:
        while batch := list(islice(conversations, BATCH_CONVERSATIONS)):
            table = _table(batch, to, conversion.left_out)
            writer.write_table(table)
            conversion.rows += len(table)
