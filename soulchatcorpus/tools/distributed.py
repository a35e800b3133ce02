"""The conversion as a datatrove pipeline, for corpora of many files on one machine, under Slurm or on Ray.

    LocalPipelineExecutor(conversion("smile/data", "out", to="turns"), tasks=8).run()

A task takes every n-th file of the corpus, so a corpus in one file is one task's work. Ids are made unique within a
task, not across tasks. examples/corpus_slurm.py has the Slurm executor.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.writers import ParquetWriter

from ..dialogue import render_line
from ..reading.corpus import OnError, Report, list_files, read_corpus
from ..schema import Conversation
from ..tables import CONVERSATION_SCHEMA, TOPIC_NUMBERS, TURN_SCHEMA
from ..turns import split_turns


class CorpusReader(PipelineStep):
    """Reads this task's files of a corpus; a document is a conversation, its text the rendered dialogue.

    Args:
        source: the corpus's file or folder.
        format, on_error: as in `reading.read_corpus`.
        rejects: folder for the rejected records of each task, with on_error="skip".
    """

    type = "READER"
    name = "Counselling corpus"

    def __init__(
        self, source: str, format: str | None = None, on_error: OnError = "raise", rejects: str | None = None
    ) -> None:
        super().__init__()
        self.source, self.format, self.on_error, self.rejects = source, format, on_error, rejects

    def run(self, data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        yield from data or ()
        files = list_files(self.source)[rank::world_size]
        if not files:
            return
        report = Report()
        with self._rejects_file(rank) as report.rejects:
            for conversation in read_corpus(files, self.format, self.on_error, report, may_be_empty=True):
                document = _document(conversation)
                self.update_doc_stats(document)
                yield document
        for label, count in [*report.regularise.fired.items(), ("rejected", report.rejected)]:
            self.stat_update(label, value=count)

    def _rejects_file(self, rank: int) -> Any:
        if self.rejects is None:
            return nullcontext()
        folder = Path(self.rejects)
        folder.mkdir(parents=True, exist_ok=True)
        return (folder / f"{rank:05d}.jsonl").open("wb")


class TurnSplitter(PipelineStep):
    """Conversations in, turns out: one document for every row of config `turns`."""

    type = "FORMAT"
    name = "Turn splitter"

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        for document in data:
            row = document.metadata["row"]
            for turn in split_turns(Conversation(row["id"], row["messages"])):
                turn_row = turn.row() | {"topic": row["topic"]}
                self.stat_update("turns")
                yield Document(turn.prompt + turn.completion, turn.id, metadata={"row": turn_row})


def conversion(
    source: str,
    output: str,
    to: str = "turns",
    format: str | None = None,
    on_error: OnError = "raise",
    rejects: str | None = None,
) -> list[PipelineStep]:
    """The steps from a corpus to one Parquet file a task, with the rows of config `to`: turns or conversations."""
    reader = CorpusReader(source, format, on_error, rejects)
    if to == "conversations":
        return [reader, ParquetWriter(output, compression="zstd", adapter=_row, schema=CONVERSATION_SCHEMA)]
    if to == "turns":
        return [reader, TurnSplitter(), ParquetWriter(output, compression="zstd", adapter=_row, schema=TURN_SCHEMA)]
    raise ValueError(f"unknown target {to!r}, allowed: turns, conversations")


def _document(conversation: Conversation) -> Document:
    text = "\n".join(render_line(message) for message in conversation.messages)
    topic = TOPIC_NUMBERS.get(conversation.topic)
    row = {"id": conversation.id, "topic": topic, "messages": conversation.messages}
    return Document(text, conversation.id, metadata={"row": row})


def _row(_: ParquetWriter, document: Document) -> dict[str, Any]:
    return document.metadata["row"]
