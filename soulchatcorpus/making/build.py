"""A finished corpus as Parquet, by config and split, with where every row came from."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features, Value

from ..files import write_json
from ..schema import FEATURES
from ..splits import SPLITS, Splitter, opening_key
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
    with _Tables(out / "data") as tables:
        splitter: Splitter[Record] = Splitter()
        for record in read_pipeline_records(file, "relabel"):
            turns = count_turns(record["messages"])
            key = opening_key(find_opening(record["messages"]))
            for released in splitter.keep(key, turns, record) if splitter.count(key, turns) else [record]:
                tables.add("train", released)
        for split, records in splitter.finish().items():
            for record in records:
                tables.add(split, record)
        if not splitter.turns:
            raise ValueError(f"{file}: no conversation with a counsellor's reply")
        card = tables.finish()
    write_json(out / "card.json", card)
    return card


class _Tables:
    """One Parquet writer for each config and split, under temporary names until all are whole."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._files = {
            (config, split): folder / f"{config}-{split}.parquet" for config in FEATURES for split in SPLITS
        }
        self._writers: dict[tuple[str, str], pq.ParquetWriter] = {}
        self._rows: dict[tuple[str, str], list[dict]] = {key: [] for key in self._files}
        self._counts = dict.fromkeys(self._files, 0)
        self._topics: dict[str, int] = {}

    def __enter__(self) -> "_Tables":
        for (config, split), path in self._files.items():
            schema = features(config).arrow_schema
            self._writers[(config, split)] = pq.ParquetWriter(_temporary(path), schema, compression="zstd")
        return self

    def add(self, split: str, record: Record) -> None:
        self._put("conversations", split, [_conversation_row(record)])
        self._put("turns", split, list(_turn_rows(record)))
        topic = record.get("topic") or "none"
        self._topics[topic] = self._topics.get(topic, 0) + 1

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
        """Close and move all files; the numbers of the card."""
        for key in self._files:
            self._flush(key)
            self._writers[key].close()
        for path in self._files.values():
            _temporary(path).replace(path)
        configs = {
            config: {
                split: {"rows": self._counts[(config, split)], "bytes": self._files[(config, split)].stat().st_size}
                for split in SPLITS
            }
            for config in FEATURES
        }
        return {"configs": configs, "topics": self._topics, "columns": {c: list(features(c)) for c in FEATURES}}

    def __exit__(self, *_: object) -> None:
        try:
            for writer in self._writers.values():
                writer.close()
        finally:  # closing writes, too, and fails on a full disk
            for path in self._files.values():
                _temporary(path).unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    return path.with_suffix(".tmp")


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
