"""Any corpus into one file: turns, conversations, questions, or the forms that LLaMA-Factory and others read.

sharegpt   {"id", "conversations": [{"from": "human"|"gpt", "value"}], "system"}
alpaca     {"id", "instruction", "input", "output", "history": [[user, assistant], …], "system"}

questions  {"id", "question", "answer", "topic"}: what a corpus is made from (`soulchat corpus clean` and `rewrite`)

`questions` takes conversations of one question and one answer; others are left out and counted. sharegpt and alpaca
require user and counsellor to alternate, the user first and the counsellor last. For them, consecutive messages of one
speaker are joined by a line break, and messages before the user's first or after the counsellor's last are left out;
`Conversion.left_out` counts them. `system` is the system text, empty where there is none. Every form has `client` and
`counsellor`; in JSON only the rows that state them.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from ..features import FEATURES, PEOPLE
from ..files import check_new, making, parquet_writer, replacing, show, to_line
from ..reading.containers import list_files
from ..reading.corpus import BATCH_CONVERSATIONS, OnError, Report, read_corpus, read_tables
from ..reading.json_stream import CorpusError
from ..schema import TOPICS, Conversation
from ..tables import CONVERSATION_SCHEMA, TURN_SCHEMA, to_config

_PEOPLE = [CONVERSATION_SCHEMA.field(name) for name in PEOPLE]
_TEXT_PAIR = pa.struct([("from", pa.string()), ("value", pa.string())])
SCHEMAS = {
    "turns": TURN_SCHEMA,
    "conversations": CONVERSATION_SCHEMA,
    "sharegpt": pa.schema(
        [("id", pa.string()), ("conversations", pa.list_(_TEXT_PAIR)), ("system", pa.string()), *_PEOPLE]
    ),
    "alpaca": pa.schema(
        [(name, pa.string()) for name in ("id", "instruction", "input", "output", "system")]
        + [("history", pa.list_(pa.list_(pa.string()))), *_PEOPLE]
    ),
    "questions": pa.schema([*((name, pa.string()) for name in ("id", "question", "answer", "topic")), *_PEOPLE]),
}


@dataclass(slots=True)
class Conversion:
    """What a conversion wrote: the rows, the report of the reading, and what the target could not carry."""

    rows: int = 0
    report: Report = field(default_factory=Report)
    left_out: Counter[str] = field(default_factory=Counter)


def convert(
    source: str | Path | Sequence[str | Path],
    output: str | Path,
    to: str,
    format: str | None = None,
    on_error: OnError = "raise",
    rejected: Path | None = None,
    may_be_empty: bool = False,
    overwrite: bool = False,
) -> Conversion:
    """Write the corpus `source` as `output`, which ends in .jsonl or .parquet. All files appear whole or not at all.

    Args:
        source, format, on_error, may_be_empty: as in `reading.corpus.read_corpus`.
        to: a name of `SCHEMAS`.
        rejected: where rejected records go with on_error="skip", with their reasons; by default
            `{output}.rejected.jsonl`.
        overwrite: a file that is there already may be replaced, but never one of the source's.

    Raises:
        CorpusError: bad input, an unknown target, another ending, or an output that is a file of the source.
        OSError: a file is there already; another run is making it.
    """
    output = Path(output)
    if to not in SCHEMAS:
        raise CorpusError(f"the target is {to!r}; allowed: {', '.join(SCHEMAS)}")
    if output.suffix not in (".jsonl", ".parquet"):
        raise CorpusError(f"{output}: the output has the ending {output.suffix or 'none'}; allowed: .jsonl, .parquet")
    if not output.parent.is_dir():
        raise CorpusError(f"{output.parent} is not a folder; allowed: an output in an existing folder")
    conversion = Conversion()
    rejected = rejected or output.with_name(output.name + ".rejected.jsonl")
    with making(output, "soulchat corpus convert"):
        _check_free([output, rejected] if on_error == "skip" else [output], source, overwrite)
        with ExitStack() as files:
            file = files.enter_context(replacing(output))
            if on_error == "skip":
                conversion.report.rejects = files.enter_context(replacing(rejected))
            corpus = source, format, on_error, conversion.report, may_be_empty
            tables: Iterator[pa.Table]
            rows: Iterator[dict[str, Any]]
            if to in FEATURES:
                tables = (to_config(table, to) for table in read_tables(*corpus))
                rows = (
                    row | _people(row.pop("client"), row.pop("counsellor"))
                    for table in tables
                    for row in _with_topic_names(table).to_pylist()
                )
            else:
                rows = _peer_rows(read_corpus(*corpus), to, conversion.left_out)
                batches = iter(lambda: list(islice(rows, BATCH_CONVERSATIONS)), [])
                tables = (pa.Table.from_pylist(batch, schema=SCHEMAS[to]) for batch in batches)
            if output.suffix == ".jsonl":
                conversion.rows = _write_jsonl(file, rows)
            else:
                conversion.rows = _write_parquet(file, tables, SCHEMAS[to])
        if on_error == "skip" and not conversion.report.rejected:
            rejected.unlink()
    return conversion


def _check_free(outputs: list[Path], source: str | Path | Sequence[str | Path], overwrite: bool) -> None:
    """Raise CorpusError where a file to write is there already, or is one of the source's."""
    taken = [output for output in outputs if output.exists()]
    if not taken:
        return
    sources = [source] if isinstance(source, (str, Path)) else source
    for output in taken:
        if any(file.samefile(output) for path in sources for file in list_files(path)):
            raise CorpusError(f"{show(output)} is a file of the source; allowed: another name for the output")
        if not overwrite:
            check_new(output, "another name, or `overwrite`")


def to_sharegpt(conversation: Conversation, left_out: Counter[str]) -> dict[str, Any] | None:
    """The row of a conversation, None where it has no pair of user and counsellor."""
    system, pairs = _system_and_pairs(conversation, left_out)
    values = [
        {"from": speaker, "value": text}
        for pair in pairs
        for speaker, text in zip(("human", "gpt"), pair, strict=True)
    ]
    return {"id": conversation.id, "conversations": values, "system": system} if pairs else None


def to_alpaca(conversation: Conversation, left_out: Counter[str]) -> dict[str, Any] | None:
    """The row of a conversation, its last pair the instruction and output; None where it has no pair."""
    system, pairs = _system_and_pairs(conversation, left_out)
    if not pairs:
        return None
    *history, (instruction, output) = pairs
    row = {"id": conversation.id, "instruction": instruction, "input": "", "output": output}
    return row | {"system": system, "history": history}


def to_question(conversation: Conversation, left_out: Counter[str]) -> dict[str, Any] | None:
    """The row of a conversation of one question and one answer, None for any other."""
    said = [message for message in conversation.messages if message["role"] != "system"]
    if [message["role"] for message in said] != ["user", "assistant"]:
        left_out["conversations of more or less than a question and an answer"] += 1
        return None
    question, answer = (message["content"] for message in said)
    return {"id": conversation.id, "question": question, "answer": answer, "topic": conversation.topic}


def _system_and_pairs(conversation: Conversation, left_out: Counter[str]) -> tuple[str, list[list[str]]]:
    runs = [(role, list(run)) for role, run in groupby(conversation.messages, key=lambda message: message["role"])]
    system = runs.pop(0)[1][0]["content"] if runs[0][0] == "system" else ""
    if runs[0][0] == "assistant":
        left_out["messages before the user's first"] += len(runs.pop(0)[1])
    if runs and runs[-1][0] == "user":
        left_out["messages after the counsellor's last"] += len(runs.pop()[1])
    if not runs:
        left_out["conversations without a pair of user and counsellor"] += 1
    texts = ["\n".join(message["content"] for message in run) for _, run in runs]
    return system, [list(pair) for pair in zip(texts[::2], texts[1::2], strict=True)]


def _peer_rows(conversations: Iterator[Conversation], to: str, left_out: Counter[str]) -> Iterator[dict[str, Any]]:
    to_row = {"sharegpt": to_sharegpt, "alpaca": to_alpaca, "questions": to_question}[to]
    return (
        row | _people(conversation.client, conversation.counsellor)
        for conversation in conversations
        if (row := to_row(conversation, left_out))
    )


def _people(client: Mapping[str, str | None] | None, counsellor: str | None) -> dict[str, Any]:
    """The columns `client` and `counsellor` of a row in JSON: what is not stated is not there."""
    stated = {name: value for name, value in (client or {}).items() if value is not None}
    return ({"client": stated} if stated else {}) | ({"counsellor": counsellor} if counsellor else {})


def _with_topic_names(table: pa.Table) -> pa.Table:
    names = pa.array(TOPICS, pa.string()).take(table["topic"].combine_chunks())
    return table.set_column(table.column_names.index("topic"), "topic", names)


def _write_jsonl(file: BinaryIO, rows: Iterator[dict[str, Any]]) -> int:
    """How many rows were written."""
    count = 0
    for row in rows:
        file.write(to_line(row))
        count += 1
    return count


def _write_parquet(file: BinaryIO, tables: Iterator[pa.Table], schema: pa.Schema) -> int:
    """How many rows were written."""
    count = 0
    with parquet_writer(file, schema) as writer:
        for table in tables:
            writer.write_table(table)
            count += len(table)
    return count
