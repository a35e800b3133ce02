"""Rows of Parquet files as records, in bounded memory whatever a file of a few bytes unpacks to."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..files import show
from ..schema import TOPICS
from .json_stream import MAX_RECORD_BYTES, Record

BATCH_ROWS = 1000
BATCH_BYTES = 1 << 26
# Not UTF-8, a date after the year 9999, a list in a list in …, a time zone that does not exist.
_UNREADABLE = (ValueError, OverflowError, RecursionError, LookupError)
_TOO_LONG = f"longer than {MAX_RECORD_BYTES:,} bytes; a record is one conversation"


def read_parquet(file: Path) -> Iterator[Record]:
    """The rows of a Parquet file of ours, or of any with the columns of a format."""
    number = 0
    try:
        with pq.ParquetFile(file) as plain:
            texts = _text_columns(plain)
        # A text that a million rows share stays one text until its rows are known to be small enough.
        with pq.ParquetFile(file, read_dictionary=texts) as table:
            for group in range(table.num_row_groups):
                size = _batch_size(table.metadata.row_group(group))
                if size == 0:
                    yield Record(show(file), number + 1, problem=_TOO_LONG)
                    number += table.metadata.row_group(group).num_rows
                    continue
                for batch in table.iter_batches(batch_size=size, row_groups=[group]):
                    yield from _records(file, number, batch)
                    number += len(batch)
    except (OSError, pa.ArrowException) as error:
        yield Record(show(file), 0, problem=f"broken Parquet: {' '.join(str(error).split())}")


def _text_columns(table: pq.ParquetFile) -> list[str]:
    columns = (table.schema.column(number) for number in range(len(table.schema)))
    return [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]


def _batch_size(group: Any) -> int:
    """Rows to read at once from a row group; 0 where one row of it is longer than a record may be."""
    mean = group.total_byte_size / max(1, group.num_rows)
    if mean > MAX_RECORD_BYTES:
        return 0
    return max(1, min(BATCH_ROWS, int(BATCH_BYTES / max(1, mean))))


def _records(file: Path, before: int, batch: pa.RecordBatch) -> Iterator[Record]:
    """The rows of a batch, the first of which is number `before` + 1."""
    sizes = sum((_sizes(column) for column in batch.columns), np.zeros(len(batch), np.int64))
    rows: list[Any] | None = None
    if sizes.sum() <= BATCH_BYTES:
        try:
            rows = batch.to_pylist()
        except _UNREADABLE:  # one of them; which, shows below
            rows = None
    for place in range(len(batch)):
        record = Record(show(file), before + place + 1)
        if rows is not None:
            record.value = rows[place]
        elif sizes[place] > MAX_RECORD_BYTES:
            record.problem = _TOO_LONG
        else:
            _read_row(record, batch.slice(place, 1))
        if record.problem is None:
            _name_topic(record)
        yield record


def _read_row(record: Record, row: pa.RecordBatch) -> None:
    try:
        record.value = row.to_pylist()[0]
    except _UNREADABLE as error:
        record.problem = f"a value that cannot be read: {' '.join(str(error).split())}"


def _sizes(array: pa.Array) -> np.ndarray:
    """How many bytes of text each value of a column holds; int64 [values]."""
    if pa.types.is_dictionary(array.type):
        lengths = _sizes(array.dictionary)
        if not len(lengths):
            return np.zeros(len(array), np.int64)
        return lengths[pc.fill_null(array.indices, 0).to_numpy(zero_copy_only=False)]
    if pa.types.is_struct(array.type):
        return sum((_sizes(part) for part in array.flatten()), np.zeros(len(array), np.int64))
    if pa.types.is_map(array.type):
        offsets = array.offsets.to_numpy() - array.offsets[0].as_py()
        ends = np.concatenate([[0], np.cumsum(_sizes(array.keys) + _sizes(array.items))])
        return ends[offsets[1:]] - ends[offsets[:-1]]
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        ends = np.concatenate([[0], np.cumsum(_sizes(array.flatten()))])
        lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        return ends[offsets[1:]] - ends[offsets[:-1]]
    if pa.types.is_string(array.type) or pa.types.is_binary(array.type) or pa.types.is_large_string(array.type):
        return pc.fill_null(pc.binary_length(array), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return np.zeros(len(array), np.int64)


def _name_topic(record: Record) -> None:
    """A topic that is a number, as `ClassLabel` stores it, by its name; -1 is a missing label there."""
    topic = record.value.get("topic")
    if type(topic) is int:
        if not -1 <= topic < len(TOPICS):
            record.problem = f"topic is {topic}; allowed: -1 to {len(TOPICS) - 1} or a name"
        record.value["topic"] = list(TOPICS)[topic] if 0 <= topic < len(TOPICS) else None
