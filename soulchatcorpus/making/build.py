"""A finished corpus as Parquet, by config and split, with where every row came from."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features, Value

from ..files import replacing, write_json
from ..schema import FEATURES
from ..splits import SPLITS, opening_key, split_all
from ..tables import TOPIC_NUMBERS
from ..turns import count_turns, find_opening, split_turns
from .records import Record, find_file, kind_of, read_pipeline_records, to_conversation

# Beside the columns of `schema.FEATURES`; null where a record does not say.
PROVENANCE = ("source_id", "source", "licence", "prompt_version", "model", "reviewer_decision", "crisis")
ROW_GROUP = 1_000  # conversations


def features(config: str) -> Features:
    """The columns of a config, provenance included."""
    return Features({**FEATURES[config], **{name: Value("string") for name in PROVENANCE}})


def build(source: Path, out: Path) -> dict:
    """Write `out`/data/CONFIG-SPLIT.parquet and card.json (the numbers for the card, also returned).

    The splits share no opening (`splits.Splitter`); only the held-out candidates are in memory.

    Raises:
        ValueError: `source` holds questions, or no conversation with a turn.
    """
    file = find_file(source)
    if kind_of(file) != "conversations":
        raise ValueError(f"{file} holds questions with answers; build takes conversations (rewrite them first)")
    with ExitStack() as files:
        tables = _Tables(out / "data", files)
        for split, record in split_all(map(_keyed, read_pipeline_records(file, "relabel"))):
            tables.add(split, record)
        card = tables.finish()
        if not any(found["rows"] for found in card["configs"]["turns"].values()):
            raise ValueError(f"{file}: no conversation with a counsellor's reply")
    write_json(out / "card.json", card)
    return card


def _keyed(record: Record) -> tuple[int, int, Record]:
    return opening_key(find_opening(record["messages"])), count_turns(record["messages"]), record


class _Tables:
    """A Parquet file for each config and split; they take their places when `files` is closed without an error."""

    def __init__(self, folder: Path, files: ExitStack) -> None:
        self._files: dict[tuple[str, str], BinaryIO] = {}
        self._writers: dict[tuple[str, str], pq.ParquetWriter] = {}
        self._topics: Counter[str] = Counter()
        for key in product(FEATURES, SPLITS):
            schema = features(key[0]).arrow_schema
            self._files[key] = files.enter_context(replacing(folder / f"{'-'.join(key)}.parquet"))
            self._writers[key] = files.enter_context(pq.ParquetWriter(self._files[key], schema, compression="zstd"))
        self._rows: dict[tuple[str, str], list[dict]] = {key: [] for key in self._files}
        self._counts = dict.fromkeys(self._files, 0)

    def add(self, split: str, record: Record) -> None:
        self._put("conversations", split, [_conversation_row(record)])
        self._put("turns", split, list(_turn_rows(record)))
        self._topics[record.get("topic") or "none"] += 1

    def _put(self, config: str, split: str, rows: list[dict]) -> None:
        waiting = self._rows[(config, split)]
        waiting += rows
        if len(waiting) >= ROW_GROUP:
            self._flush((config, split))

    def _flush(self, key: tuple[str, str]) -> None:
        schema = features(key[0]).arrow_schema
        self._writers[key].write_table(pa.Table.from_pylist(self._rows[key], schema=schema))
        self._counts[key] += len(self._rows[key])
        self._rows[key] = []

    def finish(self) -> dict:
        """Write all that is left, so that nothing but the moving can still fail; the numbers of the card."""
        for key, writer in self._writers.items():
            self._flush(key)
            writer.close()
        configs = {
            config: {
                split: {"rows": self._counts[(config, split)], "bytes": self._files[(config, split)].tell()}
                for split in SPLITS
            }
            for config in FEATURES
        }
        return {"configs": configs, "topics": self._topics, "columns": {c: list(features(c)) for c in FEATURES}}


def _origin(record: Record) -> dict[str, str | None]:
    provenance = record.get("provenance") or {}
    crisis = (record.get("labels") or {}).get("crisis")
    # Rewriting carries what a question said of itself, its source and licence among it, under `source`.
    source = provenance.get("source")
    said = record | (source if isinstance(source, dict) else provenance)
    terms = {name: said.get(name) for name in ("source", "licence")}
    known = {"source_id": record["id"], "crisis": crisis} | provenance | terms
    return {name: None if known.get(name) is None else str(known[name]) for name in PROVENANCE}


def _conversation_row(record: Record) -> dict:
    topic = TOPIC_NUMBERS.get(record.get("topic"))
    return {"id": record["id"], "topic": topic, "messages": record["messages"], **_origin(record)}


def _turn_rows(record: Record) -> Iterator[dict]:
    origin, topic = _origin(record), TOPIC_NUMBERS.get(record.get("topic"))
    for turn in split_turns(to_conversation(record)):
        yield turn.row() | {"topic": topic} | origin
