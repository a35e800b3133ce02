"""Where the rows of a split come from: the embedded sample, conversations put aside on disk, or source files.

Each of the three gives tables of config `turns` or `conversations`, and is what `datasets` hands to its processes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets.utils import logging

from ..features import FEATURES
from ..splits import SPLITS, TEST_TURNS, Splitter, opening_keys
from ..tables import CONVERSATION_SCHEMA, num_turns, openings_and_turns, to_config
from .corpus import BATCH_CONVERSATIONS, OnError, Report, read_tables

logger = logging.get_logger(__name__)

SHARD_CONVERSATIONS = 4000


class Place(NamedTuple):
    """A conversation kept for later: a row of the candidates of the `number`-th table of its corpus."""

    number: int
    row: int
    table: pa.Table


@dataclass(slots=True)
class Source:
    """The user's files, by the splits that they named. "train" alone means: not split yet.

    Attributes:
        files: paths by split.
        format: one of `formats.FORMATS`, or None to recognise it.
        on_error: "raise" or "skip".
        test_turns: how many turns went to "test", once `tables` is through.
    """

    files: dict[str, list[Path]]
    format: str | None = None
    on_error: OnError = "raise"
    test_turns: int = 0

    @property
    def is_split(self) -> bool:
        return set(self.files) != {"train"}

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self.files) if self.is_split else SPLITS

    def tables(self, report: Report) -> Iterator[tuple[str, pa.Table]]:
        """Tables of conversations with their splits: the user's where they named splits, else by opening."""
        if self.is_split:
            for split, files in self.files.items():
                for table in read_tables(files, self.format, self.on_error, report):
                    yield split, table
            return
        splitter: Splitter[Place] = Splitter()
        released: list[Place] = []
        for number, table in enumerate(read_tables(self.files["train"], self.format, self.on_error, report)):
            openings, turns = openings_and_turns(table)
            keys = opening_keys(openings)
            is_candidate = splitter.count(keys, turns)
            candidates = np.flatnonzero(is_candidate)
            kept = table.take(pa.array(candidates))
            for row, at in enumerate(candidates):
                released += splitter.keep(int(keys[at]), int(turns[at]), Place(number, row, kept))
            if len(released) >= BATCH_CONVERSATIONS:
                yield from (("train", rows) for rows in _take(released))
                released = []
            yield "train", table.filter(pa.array(~is_candidate)) if len(candidates) else table
        yield from (("train", rows) for rows in _take(released))
        held_out = splitter.finish()
        self.test_turns = sum(num_turns(rows) for rows in _take(held_out["test"]))
        for split, held in held_out.items():
            yield from ((split, rows) for rows in _take(held))

    def log(self, report: Report) -> None:
        """Say what was left out, and how large a test split is that is smaller than usual."""
        if report.rejected:
            logger.warning(f"{report.rejected} records were left out, the first: {report.examples[0].error()}")
        if not self.is_split and self.test_turns < TEST_TURNS:
            logger.warning(
                f"The test split has {self.test_turns:,} of the {report.turns:,} turns: at most a tenth, in whole "
                "conversations, of which those with one opening stay together."
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
                yield to_config(pa.Table.from_batches([batch]), config)
        self.path.unlink()


@dataclass(slots=True)
class Stream:
    """The conversations of one split, made while the source files are read."""

    source: Source
    split: str

    def tables(self, config: str) -> Iterator[pa.Table]:
        report = Report()
        for split, table in self.source.tables(report):
            if split == self.split:
                yield to_config(table, config)
        self.source.log(report)


class ShardWriter:
    """Puts the conversations of one split on disk, as `Shard`s; `has_rows` tells whether `config` has any of them."""

    def __init__(self, folder: Path, split: str, config: str) -> None:
        self._folder, self._split, self._config = folder, split, config
        self.has_rows = False
        self._waiting: list[pa.Table] = []
        self._rows = 0  # of the tables that wait
        self._written = 0  # rows of the shard being written
        self._shards: list[Shard] = []
        self._writer: Any = None  # a pa.ipc.RecordBatchStreamWriter, from the first batch on

    def add(self, conversations: pa.Table) -> None:
        self.has_rows = self.has_rows or len(to_config(conversations, self._config)) > 0
        self._waiting.append(conversations)
        self._rows += len(conversations)
        if self._rows >= BATCH_CONVERSATIONS:
            self._write_batch()

    def finish(self) -> list[Shard]:
        """Write what is left; the shards."""
        self._write_batch()
        self._writer.close()
        return self._shards

    def _write_batch(self) -> None:
        if self._writer is None or self._written >= SHARD_CONVERSATIONS:
            if self._writer is not None:
                self._writer.close()
            self._shards.append(Shard(self._folder / f"{self._split}-{len(self._shards):05d}.conversations"))
            self._writer = pa.ipc.new_stream(str(self._shards[-1].path), CONVERSATION_SCHEMA)
            self._written = 0
        batch = pa.concat_tables([CONVERSATION_SCHEMA.empty_table(), *self._waiting]).combine_chunks()
        self._writer.write_table(batch)
        self._written += self._rows
        self._waiting, self._rows = [], 0


def _take(places: list[Place]) -> Iterator[pa.Table]:
    """The rows at these places, in the order of the file."""
    for _, group in groupby(sorted(places, key=itemgetter(0, 1)), key=itemgetter(0)):
        run = list(group)
        yield run[0].table.take(pa.array([place.row for place in run], pa.int64()))
