"""Where the rows of a split come from: the embedded sample, conversations put aside on disk, or source files.

Each of the three gives tables of config `turns` or `conversations`, and is what `datasets` hands to its processes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from datasets.utils import logging

from .dialogue import count_turns
from .reading import OnError, Report, read_corpus
from .schema import FEATURES, Conversation
from .splits import SPLITS, TEST_TURNS, Splitter, held_out_turns, opening_key
from .tables import CONVERSATION_SCHEMA, conversation_table, turn_table

logger = logging.get_logger(__name__)

SHARD_CONVERSATIONS = 4000
BATCH_CONVERSATIONS = 500
STREAM_CONVERSATIONS = 50  # small, so that the first rows of a stream come at once


@dataclass(slots=True)
class Source:
    """The user's files, by the splits that they named. "train" alone means: not split yet.

    Attributes:
        files: paths by split.
        format: one of `formats.FORMATS`, or None to recognise it.
        on_error: "raise" or "skip".
    """

    files: dict[str, list[Path]]
    format: str | None = None
    on_error: OnError = "raise"

    @property
    def is_split(self) -> bool:
        return set(self.files) != {"train"}

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self.files) if self.is_split else SPLITS

    def conversations(self, report: Report) -> Iterator[tuple[str, Conversation]]:
        """Every conversation with its split: the user's where they named splits, else by opening."""
        if self.is_split:
            for split, files in self.files.items():
                for conversation in read_corpus(files, self.format, self.on_error, report):
                    yield split, conversation
            return
        splitter: Splitter[Conversation] = Splitter()
        for conversation in read_corpus(self.files["train"], self.format, self.on_error, report):
            key = opening_key(conversation.messages[0]["content"])
            for known in splitter.add(key, count_turns(conversation.messages), conversation):
                yield "train", known
        for split, held in splitter.finish().items():
            for conversation in held:
                yield split, conversation

    def log(self, report: Report) -> None:
        """Say what was left out, and that the test split is smaller than the paper's where it is."""
        if report.rejected:
            logger.warning(f"{report.rejected} records were left out, the first: {report.examples[0].error()}")
        test_turns, _ = held_out_turns(report.turns)
        if not self.is_split and test_turns < TEST_TURNS:
            logger.warning(
                f"The test split has {test_turns:,} turns, a tenth of the corpus, and not the paper's {TEST_TURNS:,}: "
                f"the corpus has only {report.turns:,} turns."
            )


@dataclass(slots=True)
class EmbeddedFile:
    """Rows as the package ships them."""

    path: Path

    def tables(self, config: str) -> Iterator[pa.Table]:
        yield pq.read_table(self.path, schema=FEATURES[config].arrow_schema)


@dataclass(slots=True)
class Shard:
    """Conversations of one split in an Arrow file, which is deleted when its rows have been made."""

    path: Path

    def tables(self, config: str) -> Iterator[pa.Table]:
        with pa.OSFile(str(self.path)) as file, pa.ipc.open_stream(file) as reader:
            for batch in reader:
                yield _rows(pa.Table.from_batches([batch]), config)
        self.path.unlink()


@dataclass(slots=True)
class Stream:
    """The conversations of one split, made while the source files are read."""

    source: Source
    split: str

    def tables(self, config: str) -> Iterator[pa.Table]:
        report = Report()
        batch: list[Conversation] = []
        for split, conversation in self.source.conversations(report):
            if split == self.split:
                batch.append(conversation)
            if len(batch) == STREAM_CONVERSATIONS:
                yield _rows(conversation_table(batch), config)
                batch = []
        if batch:
            yield _rows(conversation_table(batch), config)
        if self.split == self.source.splits[-1]:
            self.source.log(report)


class ShardWriter:
    """Puts the conversations of one split on disk, as `Shard`s."""

    def __init__(self, folder: Path, split: str) -> None:
        self._folder, self._split = folder, split
        self._batch: list[Conversation] = []
        self._room = 0  # batches that the shard being written can still take
        self._shards: list[Shard] = []
        self._writer: pa.ipc.RecordBatchStreamWriter | None = None

    def add(self, conversation: Conversation) -> None:
        self._batch.append(conversation)
        if len(self._batch) == BATCH_CONVERSATIONS:
            self._write_batch()

    def finish(self) -> list[Shard]:
        """The shards, at least one even where the split is empty."""
        self._write_batch()
        self._writer.close()
        return self._shards

    def _write_batch(self) -> None:
        if self._room == 0:
            if self._writer is not None:
                self._writer.close()
            self._shards.append(Shard(self._folder / f"{self._split}-{len(self._shards):05d}.conversations"))
            self._writer = pa.ipc.new_stream(str(self._shards[-1].path), CONVERSATION_SCHEMA)
            self._room = SHARD_CONVERSATIONS // BATCH_CONVERSATIONS
        self._writer.write_table(conversation_table(self._batch))
        self._room -= 1
        self._batch = []


def _rows(conversations: pa.Table, config: str) -> pa.Table:
    return turn_table(conversations) if config == "turns" else conversations
