"""The Parquet files of a corpus folder: their config and split, what they hold, shards of bounded size."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from soulchatcorpus.files import parquet_writer

if TYPE_CHECKING:
    from datasets import DatasetInfo

# The Hub recommends files up to some GB, and its viewer reads row groups of up to 300 MB; smaller files resume sooner.
MAX_SHARD_BYTES = 300_000_000
MAX_ROW_GROUP_BYTES = 100_000_000
BATCH_ROWS = 10_000
SPLIT_ORDER = ["train", "validation", "test"]
_NAME = re.compile(r"(?:(?P<config>[a-z]\w*)[-/])?(?P<split>train|validation|test)(?:-\d{5}-of-\d{5})?\.parquet")

Splits = dict[str, dict[str, list[Path]]]


@dataclass(slots=True)
class SplitCounts:
    """Exact size of one split: rows, and bytes as Arrow holds them, which is what `dataset_info` states."""

    num_examples: int = 0
    num_bytes: int = 0


def find_splits(folder: Path) -> Splits:
    """Parquet files by config and split, told by names: turns-train.parquet, turns/train-00000-of-00002.parquet.

    Those without a row are left out: `datasets` loads no empty split, nor the others beside it.

    Raises:
        FileNotFoundError: there is no folder, or no Parquet file in it.
        ValueError: a file whose name tells no split.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder; allowed: what `soulchat corpus build` makes")
    found: Splits = {}
    for path in sorted(folder.rglob("*.parquet")):
        name = path.relative_to(folder).as_posix().removeprefix("data/")
        match = _NAME.fullmatch(name)
        if not match:
            raise ValueError(f"{path} has a name that tells no split; allowed: CONFIG-train.parquet or the like")
        if _open(path).metadata.num_rows == 0:
            continue
        found.setdefault(match["config"] or "default", {}).setdefault(match["split"], []).append(path)
    if not found:
        raise FileNotFoundError(f"{folder} has no Parquet files; allowed: what `soulchat corpus build` makes")
    return {
        config: {split: splits[split] for split in SPLIT_ORDER if split in splits}
        for config, splits in sorted(found.items(), key=lambda item: item[0] != "turns")
    }


def read_tables(paths: list[Path], columns: list[str] | None = None) -> Iterator[pa.Table]:
    """The rows of the files, a row group at a time, or less of it where it is a large one.

    Of `columns`, those come that the files have; None means all.
    """
    for path in paths:
        file = _open(path)
        chosen = columns and [name for name in columns if name in file.schema_arrow.names]
        for index in range(file.num_row_groups):
            if file.metadata.row_group(index).total_byte_size <= MAX_ROW_GROUP_BYTES:
                yield file.read_row_group(index, columns=chosen)
            else:
                for batch in file.iter_batches(BATCH_ROWS, row_groups=[index], columns=chosen):
                    yield pa.Table.from_batches([batch])


def write_shards(paths: list[Path], target: Path, split: str) -> SplitCounts:
    """Lay out one split as `target`/SPLIT-00000-of-0000N.parquet: links to the files; large ones are rewritten.

    Returns what was counted on the way; memory holds one row group at a time.
    """
    target.mkdir(parents=True, exist_ok=True)
    counts = SplitCounts()
    shards = [path.resolve() for path in paths if _is_small(path)]
    if len(shards) == len(paths):
        for table in read_tables(paths):
            _count(counts, table)
    else:
        shards = list(_rewrite(paths, target, counts))
    for number, shard in enumerate(shards):
        name = target / f"{split}-{number:05d}-of-{len(shards):05d}.parquet"
        if shard.parent == target:
            shard.rename(name)
        else:
            name.symlink_to(shard)
    return counts


def dataset_info(config: str, splits: dict[str, list[Path]], counts: dict[str, SplitCounts]) -> "DatasetInfo":
    """What the card's YAML states of a config: features and exact sizes."""
    from datasets import DatasetInfo, Features, SplitDict, SplitInfo

    schema = _open(next(iter(splits.values()))[0]).schema_arrow
    return DatasetInfo(
        features=Features.from_arrow_schema(schema),
        config_name=config,
        splits=SplitDict({name: SplitInfo(name, size.num_bytes, size.num_examples) for name, size in counts.items()}),
        download_size=sum(path.stat().st_size for paths in splits.values() for path in paths),
        dataset_size=sum(size.num_bytes for size in counts.values()),
    )


def _rewrite(paths: list[Path], target: Path, counts: SplitCounts) -> Iterator[Path]:
    """Shards of at most about `MAX_SHARD_BYTES`, under working names."""
    writer, number = None, 0
    for table in read_tables(paths):
        _count(counts, table)
        if writer is None:
            path = target / f"working-{number}.parquet"
            writer = parquet_writer(path, table.schema, page_index=True)
        writer.write_table(table)
        if path.stat().st_size > MAX_SHARD_BYTES:
            writer.close()
            writer, number = None, number + 1
            yield path
    if writer is not None:
        writer.close()
        yield path


def _count(counts: SplitCounts, table: pa.Table) -> None:
    counts.num_examples += table.num_rows
    counts.num_bytes += table.nbytes


def _is_small(path: Path) -> bool:
    metadata = _open(path).metadata
    groups = (metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups))
    return path.stat().st_size <= MAX_SHARD_BYTES and max(groups, default=0) <= MAX_ROW_GROUP_BYTES


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path}: not a Parquet file ({error})") from error
