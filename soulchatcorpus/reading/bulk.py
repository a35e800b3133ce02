"""The release's records many at a time, from JSON to Arrow without a Python object for every message.

pyarrow's JSON reader takes a slab of records; if every one of them is what `chats.read_chat` takes, and `rules`
would change nothing in its messages, the slab is done. Any doubt sends the slab the ordinary way, record by record, so
this makes nothing else possible, only the usual faster.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from ..dialogue import ROLE_PREFIXES
from ..schema import find_topic
from ..tables import CONVERSATION_SCHEMA, PEOPLE_TYPES, TOPIC_NUMBERS, Messages, string_buffers
from .rules import Regulariser

_ID_TYPES = {int: pa.int64(), str: pa.string()}


class BulkReader:
    """Reads slabs of records like the release's, once `enable` has seen the first record of the file."""

    def __init__(self, regularise: Regulariser) -> None:
        self._regularise = regularise
        self._options: pj.ParseOptions | None = None

    def enable(self, first_record: Any) -> None:
        """From here on expect records like this one, which is in the format `messages`."""
        id_type = _ID_TYPES.get(type(first_record.get("id")))
        if id_type is not None:
            columns = [("id", id_type), ("topic", pa.string()), CONVERSATION_SCHEMA.field("messages")]
            self._options = pj.ParseOptions(pa.schema(columns), True, "error")

    def __call__(self, slab: bytes, num_lines: int | None) -> pa.Table | None:
        """The regular conversations of JSON records with white space between them, None to decline.

        With `num_lines` it also declines where there are not as many records: a line with two is broken.
        """
        if self._options is None:
            return None
        read_options = pj.ReadOptions(use_threads=False, block_size=len(slab) + 1)
        try:
            records = pj.read_json(pa.BufferReader(slab), read_options, self._options).combine_chunks()
            records.validate(full=True)  # the parser lets through what is not UTF-8
        except pa.ArrowInvalid:
            return None
        return self._table(records.to_batches()[0]) if num_lines in (None, len(records)) else None

    def _table(self, records: pa.RecordBatch) -> pa.Table | None:
        id, topic, messages = (records.column(name) for name in ("id", "topic", "messages"))
        flat = messages.flatten()
        role, content = flat.flatten()
        if any(column.null_count for column in (id, messages, flat, role, content)):
            return None
        try:
            arrays = Messages.of(messages)
        except ValueError:  # a role that is none, or a system text that does not stand first
            return None
        if (arrays.openings == arrays.offsets[1:]).any() or not _are_clean(content):
            return None
        id = id.cast(pa.string())
        if not self._regularise.take_ids(id.to_pylist()):
            return None
        self._count_order(arrays)
        # Records that state a client or a counsellor have more columns than the parser was told of.
        nobody = [pa.nulls(len(records), type) for type in PEOPLE_TYPES.values()]
        columns = [id, self._topic_numbers(topic), messages, *nobody]
        return pa.Table.from_arrays(columns, schema=CONVERSATION_SCHEMA)

    def _count_order(self, messages: Messages) -> None:
        starts, is_counsellor = messages.openings, messages.is_counsellor
        repeats = np.concatenate([[False], is_counsellor[1:] == is_counsellor[:-1]])
        repeats[messages.offsets[:-1]] = repeats[starts] = False
        counts = {
            "not_alternating": np.logical_or.reduceat(repeats, starts).sum(),
            "starts_with_counsellor": is_counsellor[starts].sum(),
            "ends_with_user": (~is_counsellor[messages.offsets[1:] - 1]).sum(),
            "no_counsellor": (~np.logical_or.reduceat(is_counsellor, starts)).sum(),
        }
        self._regularise.fired.update({rule: int(count) for rule, count in counts.items() if count})

    def _topic_numbers(self, topic: pa.StringArray) -> pa.Int64Array:
        names = topic.dictionary_encode()
        numbers = [TOPIC_NUMBERS.get(find_topic(name)) for name in names.dictionary.to_pylist()]
        found = pa.array(numbers, pa.int64()).take(names.indices)
        named = pc.sum(pc.not_equal(topic, "")).as_py() or 0  # an empty name is none, as in `formats`
        unknown = named - (len(found) - found.null_count)
        if unknown:
            self._regularise.fired["unknown_topic"] += unknown
        return found


def _are_clean(content: pa.StringArray) -> bool:
    """No message is blank, and none has a role's prefix at the start of a line inside it."""
    offsets, text = string_buffers(content)
    if (np.diff(offsets) == 0).any() or pc.any(pc.utf8_is_space(content)).as_py():
        return False
    has_newlines = (np.frombuffer(text, np.uint8) == ord("\n")).any()
    prefixes = [f"\n{prefix}" for prefix in ROLE_PREFIXES.values()] if has_newlines else []
    return not any(pc.any(pc.match_substring(content, prefix)).as_py() for prefix in prefixes)
