"""Corpora of any format to regular conversations, one at a time, with an account of everything that happened."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ..files import show
from ..schema import TOPICS, Conversation
from ..tables import conversation_table, num_turns
from ..turns import count_turns
from .bulk import BulkReader
from .containers import list_files, read_any
from .fields import kind
from .formats import ADVICE, FORMATS, Format, recognise
from .json_stream import CorpusError, Record
from .rules import RULES, Regulariser
from .transcripts import BadRecord

OnError = Literal["raise", "skip"]

BATCH_CONVERSATIONS = 500
MAX_EXAMPLES = 20


@dataclass(slots=True)
class Report:
    """What a reading found and did.

    `regularise.fired` counts how often each of `rules.RULES` fired; `examples` are the first rejected records, all of
    which go to `rejects` where it is given.
    """

    files: int = 0
    formats: Counter[str] = field(default_factory=Counter)
    conversations: int = 0
    messages: int = 0
    turns: int = 0
    topics: Counter[str] = field(default_factory=Counter)
    clients: int = 0
    counsellors: Counter[str] = field(default_factory=Counter)
    regularise: Regulariser = field(default_factory=Regulariser)
    rejected: int = 0
    examples: list[Record] = field(default_factory=list)
    rejects: BinaryIO | None = None

    def reject(self, record: Record) -> None:
        """Count a rejected record, and write it to `rejects` as a JSON line."""
        self.rejected += 1
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(record)
        if self.rejects is not None:
            self.rejects.write(_rejection_line(record))

    def count(self, conversation: Conversation) -> None:
        """Count a regular conversation."""
        self.conversations += 1
        self.messages += len(conversation.messages)
        self.turns += count_turns(conversation.messages)
        if conversation.topic:
            self.topics[conversation.topic] += 1
        self.clients += conversation.client is not None
        if conversation.counsellor:
            self.counsellors[conversation.counsellor] += 1

    def count_table(self, conversations: pa.Table) -> None:
        """Count the regular conversations of a table that was read in bulk."""
        self.formats["messages"] += len(conversations)
        self.conversations += len(conversations)
        self.messages += pc.sum(pc.list_value_length(conversations["messages"])).as_py()
        self.turns += num_turns(conversations)
        for topic, number in Counter(conversations["topic"].to_pylist()).items():
            if topic is not None:
                self.topics[list(TOPICS)[topic]] += number

    def to_dict(self) -> dict[str, Any]:
        """The counts as JSON, with file, place and reason of the first rejected records."""
        return {
            "files": self.files,
            "formats": dict(self.formats),
            "conversations": self.conversations,
            "messages": self.messages,
            "turns": self.turns,
            "topics": {topic: self.topics[topic] for topic in TOPICS if self.topics[topic]},
            "clients": self.clients,
            "counsellors": dict(self.counsellors.most_common()),
            "rules": {
                rule: {"count": self.regularise.fired[rule], "of": counted, "what": what}
                for rule, (counted, what) in RULES.items()
                if self.regularise.fired[rule]
            },
            "rejected": self.rejected,
            "rejected_examples": [str(record.error()) for record in self.examples],
        }

    def lines(self) -> Iterator[str]:
        """The report for people, line by line."""
        formats = ", ".join(f"{count:,} {name}" for name, count in self.formats.items())
        yield f"{self.files:,} files, records: {formats or 'none'}"
        yield f"{self.conversations:,} conversations, {self.messages:,} messages, {self.turns:,} turns"
        if self.topics:
            yield "topics: " + ", ".join(f"{topic} {count:,}" for topic, count in self.topics.most_common())
        if self.clients:
            yield f"{self.clients:,} conversations state something of the client"
        if self.counsellors:
            yield "counsellors: " + ", ".join(f"{name} {count:,}" for name, count in self.counsellors.most_common())
        for rule, (counted, what) in RULES.items():
            if self.regularise.fired[rule]:
                yield f"rule {rule}: {self.regularise.fired[rule]:,} {counted}, {what}"
        if self.rejected:
            yield f"{self.rejected:,} records rejected"
            yield from _tell_each_once(self.examples)
            if self.rejected > len(self.examples):
                yield f"  … and {self.rejected - len(self.examples):,} more"


def _tell_each_once(records: Sequence[Record]) -> Iterator[str]:
    """A problem that several records of a file have stands at the first of them."""
    alike = Counter((record.file, record.problem) for record in records)
    for record in records:
        others = alike.pop((record.file, record.problem), 0) - 1
        if others >= 0:
            yield f"  {record.error()}" + (f" (and {others} more like it)" if others else "")


def _rejection_line(record: Record) -> bytes:
    """A rejection as a JSON line; Parquet has values that JSON has not: bytes, decimals."""
    try:
        return orjson.dumps(rejection(record), default=str, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # nested more deeply than the writer goes
        place = Record(record.file, record.number, None, record.place, record.problem, "nested too deeply to be kept")
        return orjson.dumps(rejection(place), option=orjson.OPT_APPEND_NEWLINE)


def rejection(record: Record) -> dict[str, Any]:
    """A rejected record with its place, its reason, and its value, or its text where there is no value."""
    place = {"file": record.file, "record": record.number, "place": record.place, "reason": record.problem}
    return place | ({"value": record.value} if record.raw is None else {"text": record.raw})


def read_corpus(
    sources: str | Path | Sequence[str | Path],
    format: str | None = None,
    on_error: OnError = "raise",
    report: Report | None = None,
    may_be_empty: bool = False,
) -> Iterator[Conversation]:
    """The regular conversations (see `rules`) of files or folders.

    Args:
        sources: a file, a folder, or several.
        format: a name of `formats.FORMATS`; recognised by content, for each file, where it is None.
        on_error: "raise" a `CorpusError` at the first record that cannot be taken, or "skip" it into
            `report.reject`.
        report: filled while the conversations are read.
        may_be_empty: the sources are only a part of a corpus, so there need be no conversation in them.

    Raises:
        CorpusError: bad input (see `on_error`), or not one conversation in all of the sources.
    """
    report = report if report is not None else Report()
    yield from _read(sources, format, on_error, report, in_bulk=False, may_be_empty=may_be_empty)


def read_tables(
    sources: str | Path | Sequence[str | Path],
    format: str | None,
    on_error: OnError,
    report: Report,
    may_be_empty: bool = False,
) -> Iterator[pa.Table]:
    """What `read_corpus` gives, in the same order, as tables of config `conversations`; several times as fast."""
    batch: list[Conversation] = []
    for item in _read(sources, format, on_error, report, in_bulk=True, may_be_empty=may_be_empty):
        if isinstance(item, Conversation):
            batch.append(item)
        if batch and (len(batch) == BATCH_CONVERSATIONS or not isinstance(item, Conversation)):
            yield conversation_table(batch)
            batch = []
        if not isinstance(item, Conversation):
            yield item
    if batch:
        yield conversation_table(batch)


def _read(
    sources: str | Path | Sequence[str | Path],
    format: str | None,
    on_error: OnError,
    report: Report,
    in_bulk: bool,
    may_be_empty: bool,
) -> Iterator[Conversation | pa.Table]:
    if format is not None and format not in FORMATS:
        raise CorpusError(f"format is {format!r}; allowed: {', '.join(FORMATS)}")
    if on_error not in ("raise", "skip"):
        raise CorpusError(f"on_error is {on_error!r}; allowed: raise, skip")
    before = report.conversations
    paths = [sources] if isinstance(sources, (str, Path)) else sources
    for file in (file for path in paths for file in list_files(path)):
        report.files += 1
        bulk = BulkReader(report.regularise) if in_bulk else None
        for item in _read_file(file, FORMATS[format] if format else None, report, bulk):
            if isinstance(item, pa.Table):
                report.count_table(item)
                yield item
            elif isinstance(item, Record):
                if on_error == "raise":
                    raise item.error()
                report.reject(item)
            elif report.regularise(item):
                report.count(item)
                yield item
    if report.conversations == before and not may_be_empty:
        reason = report.examples[0].error() if report.examples else "no record with a message in it"
        raise CorpusError(f"no conversation in {', '.join(map(show, paths))}: {reason}")


def _read_file(
    file: Path, format: Format | None, report: Report, bulk: BulkReader | None
) -> Iterator[Conversation | Record | pa.Table]:
    """The conversations of one file as they are, and a `Record` with a problem for whatever is none.

    With `bulk`, tables of conversations that are regular already may take their places.
    """
    stem = show(file.name).split(".")[0]
    records = read_any(file, bulk)
    rejected = False
    for record in records:
        if isinstance(record, pa.Table):
            yield record
            continue
        if record.problem is None:
            format = format or _recognise(record)
        if record.problem is not None or format is None:
            rejected = True
            yield record
        elif format.name == "smilechat" and type(record.value) is not list:
            if rejected:  # a message of this dialogue was, so all of it is
                return
            yield from _read_whole(file, record, records, report)
        else:
            if bulk is not None and format.name == "messages" and type(record.value) is dict:
                bulk.enable(record.value)
            report.formats[format.name] += 1
            yield from _convert(format, record, f"{stem}-{record.number}")


def _recognise(record: Record) -> Format | None:
    try:
        format = recognise(record.value)
    except BadRecord as problem:
        record.problem = str(problem)
        return None
    if format is None:
        found = _describe(record.value)
        record.problem = f"no known format, found {found}; known: {', '.join(FORMATS)}; {ADVICE}"
    return format


def _convert(format: Format, record: Record, default_id: str) -> Iterator[Conversation | Record]:
    try:
        yield from format.read(record.value, default_id)
    except BadRecord as problem:
        record.problem = str(problem)
        yield record


def _read_whole(
    file: Path, first: Record, others: Iterator[Record | pa.Table], report: Report
) -> Iterator[Conversation | Record]:
    """The one dialogue of a file whose records are its messages; broken as a whole if one of them is."""
    messages = [first.value]
    for record in others:
        assert isinstance(record, Record)  # nothing is read in bulk here
        if record.problem is not None:
            yield record
            return
        messages.append(record.value)
    report.formats["smilechat"] += 1
    yield from _convert(FORMATS["smilechat"], Record(show(file), 1, messages), show(file.name).split(".")[0])


def _describe(value: Any) -> str:
    if type(value) is dict:
        return f"an object with the keys {', '.join(map(repr, list(value)[:10])) or 'none'}"
    return f"{kind(value)}, {str(value)[:40]}"
