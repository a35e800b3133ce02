"""A finished corpus as Parquet, by config and split, with where every row came from."""

from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
from datasets import Features, Value

from ..features import FEATURES
from ..files import parquet_writer, replacing, working_in, write_json
from ..splits import SPLITS, opening_key, split_all
from ..tables import conversation_table, openings_and_turns, to_config
from ..turns import count_turns, find_opening
from .records import Record, find_file, kind_of, read_pipeline_records, to_conversation

# Beside the columns of `features.FEATURES`; null where a record does not say.
PROVENANCE = (
    *("source_id", "source", "licence", "prompt_version", "model", "reviewer_decision", "crisis"),
    "client_source",  # where it is not the record's own
)
ORIGIN_SCHEMA = pa.schema([(name, pa.string()) for name in PROVENANCE])
ROW_GROUP = 1_000  # conversations


def features(config: str) -> Features:
    """The columns of a config, provenance included."""
    return Features({**FEATURES[config], **{name: Value("string") for name in PROVENANCE}})


def build(source: Path, out: Path) -> dict:
    """Write `out`/data/CONFIG-SPLIT.parquet and card.json (the numbers for the card, also returned).

    A split without rows has no file: `datasets` loads none such, nor the others beside it. The splits share no opening
    (`splits.Splitter`); only the held-out candidates are in memory.

    Raises:
        ValueError: `source` holds questions, or no conversation with a turn.
        OSError: another run is at work in `out`.
    """
    file = find_file(source)
    if kind_of(file) != "conversations":
        raise ValueError(f"{file} holds questions with answers; build takes conversations (rewrite them first)")
    with working_in(out, "soulchat corpus build"):
        return _build(file, out)


def _build(file: Path, out: Path) -> dict:
    # All writers are closed before the first file takes its place.
    with ExitStack() as files, ExitStack() as writers:
        tables = _Tables(out / "data", files, writers)
        for split, record in split_all(map(_keyed, read_pipeline_records(file, "relabel"))):
            tables.add(split, record)
        tables.flush()
        if not any(tables.rows["turns", split] for split in SPLITS):
            raise ValueError(f"{file}: no conversation with a counsellor's reply")
    configs: dict[str, dict[str, dict[str, int]]] = {config: {} for config in FEATURES}
    for (config, split), path in tables.paths.items():
        rows = tables.rows[(config, split)]
        if rows:
            configs[config][split] = {"rows": rows, "bytes": path.stat().st_size}
        else:
            path.unlink()
    columns = {config: list(features(config)) for config in FEATURES}
    card = {"configs": configs, "topics": dict(tables.topics), "columns": columns}
    write_json(out / "card.json", card)
    return card


def _keyed(record: Record) -> tuple[int, int, Record]:
    return opening_key(find_opening(record["messages"])), count_turns(record["messages"]), record


class _Tables:
    """One Parquet file for each config and split, and what was written to them."""

    def __init__(self, folder: Path, files: ExitStack, writers: ExitStack) -> None:
        keys = [(config, split) for config in FEATURES for split in SPLITS]
        self.paths = {(config, split): folder / f"{config}-{split}.parquet" for config, split in keys}
        self.rows: Counter[tuple[str, str]] = Counter()
        self.topics: Counter[str] = Counter()
        self._waiting: dict[str, list[Record]] = {split: [] for split in SPLITS}
        self._writers = {
            key: writers.enter_context(
                parquet_writer(files.enter_context(replacing(path)), features(key[0]).arrow_schema)
            )
            for key, path in self.paths.items()
        }

    def add(self, split: str, record: Record) -> None:
        self.topics[record.get("topic") or "none"] += 1
        self._waiting[split].append(record)
        if len(self._waiting[split]) == ROW_GROUP:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        for split, records in self._waiting.items():
            if not records:
                continue
            conversations = conversation_table([to_conversation(record) for record in records])
            origins = pa.Table.from_pylist([_origin(record) for record in records], ORIGIN_SCHEMA)
            turns = np.repeat(np.arange(len(records)), openings_and_turns(conversations)[1])
            for config in FEATURES:
                table = to_config(conversations, config)
                places = turns if config == "turns" else np.arange(len(records))
                for name, column in zip(PROVENANCE, origins.take(places).columns, strict=True):
                    table = table.append_column(name, column)
                if len(table):  # a row group of no rows is one that `datasets` cannot read
                    self._writers[(config, split)].write_table(table)
                self.rows[(config, split)] += len(table)
            records.clear()


def _origin(record: Record) -> dict[str, str | None]:
    provenance = record.get("provenance") or {}
    crisis = (record.get("labels") or {}).get("crisis")
    # Rewriting carries what a question said of itself, its source and licence among it, under `source`.
    source = provenance.get("source")
    said = record | (source if isinstance(source, dict) else provenance)
    terms = {name: said.get(name) for name in ("source", "licence")}
    known = {"source_id": record["id"], "crisis": crisis} | provenance | terms
    return {name: None if known.get(name) is None else str(known[name]) for name in PROVENANCE}
