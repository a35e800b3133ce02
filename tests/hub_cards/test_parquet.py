"""Parquet files: found by name, laid out as shards, counted as `datasets` counts them."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, load_dataset

from hub_cards import parquet
from hub_cards.parquet import dataset_info, find_splits, read_tables, write_shards
from tests.hub_cards.samples import make_turns


def write(path: Path, table: pa.Table, **options: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **options)
    return path


def test_names_tell_config_and_split(tmp_path: Path) -> None:
    names = [
        "data/turns-train.parquet",
        "data/turns-test.parquet",
        "conversations/train-00000-of-00002.parquet",
        "conversations/train-00001-of-00002.parquet",
        "validation.parquet",
    ]
    for name in names:
        write(tmp_path / name, make_turns("train"))
    found = find_splits(tmp_path)
    assert {config: {split: len(paths) for split, paths in splits.items()} for config, splits in found.items()} == {
        "turns": {"train": 1, "test": 1},
        "conversations": {"train": 2},
        "default": {"validation": 1},
    }
    assert next(iter(found)) == "turns", "the first config is the default one"


def test_folders_that_are_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is no folder; allowed: "):
        find_splits(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match="no Parquet files"):
        find_splits(tmp_path)
    write(tmp_path / "part3.parquet", make_turns("train"))
    with pytest.raises(ValueError, match="a name that tells no split; allowed: "):
        find_splits(tmp_path)
    (tmp_path / "train.parquet").write_bytes(b"PAR?")
    with pytest.raises(ValueError, match="not a Parquet file"):
        list(read_tables([tmp_path / "train.parquet"]))


def test_small_files_are_published_as_they_are(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"train-0000{n}-of-00002.parquet", make_turns("train", 5 + n)) for n in range(2)]
    counts = write_shards(paths, tmp_path / "out", "train")
    shards = sorted((tmp_path / "out").iterdir())
    assert [shard.name for shard in shards] == ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"]
    assert [shard.read_bytes() for shard in shards] == [path.read_bytes() for path in paths]
    assert counts.num_examples == 11


@pytest.mark.parametrize("row_group_size", [7, 1000])
def test_large_files_are_cut_and_keep_every_row(
    row_group_size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "MAX_SHARD_BYTES", 4000)
    monkeypatch.setattr(parquet, "MAX_ROW_GROUP_BYTES", 2000)
    monkeypatch.setattr(parquet, "BATCH_ROWS", 10)
    table = make_turns("train", 300)
    path = write(tmp_path / "train.parquet", table, row_group_size=row_group_size)
    counts = write_shards([path], tmp_path / "out", "train")
    shards = sorted((tmp_path / "out").iterdir())
    assert len(shards) > 1
    assert shards[0].name == f"train-00000-of-{len(shards):05d}.parquet"
    assert pa.concat_tables(read_tables(shards)).equals(table)
    assert counts.num_examples == 300
    again = tmp_path / "again"
    write_shards([path], again, "train")
    assert [p.read_bytes() for p in sorted(again.iterdir())] == [p.read_bytes() for p in shards], (
        "unchanged on the Hub"
    )


def test_sizes_are_those_that_datasets_counts(tmp_path: Path) -> None:
    path = write(tmp_path / "train.parquet", make_turns("train", 50))
    counts = {"train": write_shards([path], tmp_path / "out", "train")}
    info = dataset_info("turns", {"train": [path]}, counts)
    loaded: Dataset = load_dataset("parquet", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    assert info.splits["train"].num_bytes == loaded.info.splits["train"].num_bytes
    assert info.splits["train"].num_examples == len(loaded)
    assert info.features == loaded.features


def test_only_the_asked_columns_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "train.parquet", make_turns("train", 2, source="smilechat"))
    [table] = read_tables([path], columns=["source", "licence"])
    assert table.column_names == ["source"]
