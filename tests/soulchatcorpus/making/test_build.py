"""Parquet with provenance: rows, columns, splits, and refusals."""

import pyarrow.parquet as pq
import pytest
from datasets import load_dataset

from soulchatcorpus.files import write_lines
from soulchatcorpus.making.build import PROVENANCE, build


def conversation(number: int) -> dict:
    return {
        "id": f"c{number}",
        "topic": "情绪" if number % 2 else None,
        "labels": {"crisis": "suicide"} if number == 1 else {},
        "provenance": {"prompt_version": "p@1", "model": "m", "reviewer_decision": "keep"},
        "messages": [
            {"role": "user", "content": f"第{number // 2}种开场"},
            {"role": "assistant", "content": "一"},
            {"role": "user", "content": "嗯"},
            {"role": "assistant", "content": "二"},
        ],
    }


@pytest.fixture
def built(tmp_path):
    write_lines(tmp_path / "conversations.jsonl", [conversation(n) for n in range(60)])
    return build(tmp_path, tmp_path / "out"), tmp_path / "out"


def test_every_row_says_where_it_came_from(built):
    card, out = built
    rows = [row for path in (out / "data").glob("turns-*.parquet") for row in pq.read_table(path).to_pylist()]
    assert len(rows) == 120
    first = next(row for row in rows if row["id"] == "c1-2")
    assert {name: first[name] for name in PROVENANCE} == {
        "source_id": "c1",
        "source": None,
        "licence": None,
        "prompt_version": "p@1",
        "model": "m",
        "reviewer_decision": "keep",
        "crisis": "suicide",
        "client_source": None,
    }
    assert first["prompt"] == "用户：第0种开场\n心理咨询师：一\n用户：嗯\n心理咨询师："
    assert {split: found["rows"] for split, found in card["configs"]["turns"].items()} == {
        "train": 104,
        "validation": 4,
        "test": 12,
    }
    assert card["topics"] == {"none": 30, "情绪": 30}


def test_a_system_text_has_its_column_and_is_no_opening(tmp_path):
    records = [conversation(n) for n in range(60)]
    for record in records:
        record["messages"].insert(0, {"role": "system", "content": "你是"})
    write_lines(tmp_path / "conversations.jsonl", records)
    card = build(tmp_path, tmp_path / "out")
    assert card["columns"]["turns"][4:7] == ["system", "prompt", "completion"]
    (row, *_) = pq.read_table(tmp_path / "out" / "data" / "turns-test.parquet").to_pylist()
    assert row["system"] == "你是"
    assert row["prompt"].startswith("用户：第")
    assert card["configs"]["turns"]["test"]["rows"] == 12  # as without one: splits go by the user's first words


@pytest.mark.parametrize(
    ("more", "origin"),
    [
        ({"source": "web", "licence": 4}, {"source_id": "c1", "source": "web", "licence": "4"}),
        ({"provenance": {"source": "web", "source_id": 9}}, {"source_id": "9", "source": "web", "licence": None}),
        ({"provenance": {"source": {"source": "web", "licence": "MIT"}}}, {"source": "web", "licence": "MIT"}),
    ],
)
def test_provenance_from_elsewhere_is_text(tmp_path, more, origin):
    write_lines(tmp_path / "conversations.jsonl", [conversation(1) | more])
    build(tmp_path, tmp_path / "out")
    (row,) = pq.read_table(tmp_path / "out" / "data" / "conversations-train.parquet").to_pylist()
    assert {name: row[name] for name in origin} == origin


def test_no_opening_is_in_two_splits(built):
    _, out = built
    openings = [
        {row["messages"][0]["content"] for row in pq.read_table(path).to_pylist()}
        for path in (out / "data").glob("conversations-*.parquet")
    ]
    assert sum(map(len, openings)) == len(set().union(*openings)) == 30


def test_datasets_loads_it(built, tmp_path):
    _, out = built
    files = {split: str(out / "data" / f"turns-{split}.parquet") for split in ("train", "validation", "test")}
    loaded = load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "cache"))
    assert loaded["train"].features["topic"].int2str(8) == "情绪"
    assert loaded["test"].num_rows == 12


def test_no_file_is_left_half_written(tmp_path):
    write_lines(tmp_path / "c.jsonl", [{"id": 1, "messages": [{"role": "user", "content": "只有我"}]}])
    with pytest.raises(ValueError, match="no conversation with a counsellor's reply"):
        build(tmp_path / "c.jsonl", tmp_path / "out")
    assert list((tmp_path / "out" / "data").iterdir()) == []


def test_a_full_disk_leaves_no_half_file(tmp_path, monkeypatch):
    def close(self, close=pq.ParquetWriter.close) -> None:
        close(self)
        raise OSError("No space left on device")

    write_lines(tmp_path / "c.jsonl", [conversation(1)])
    monkeypatch.setattr("pyarrow.parquet.ParquetWriter.close", close)
    with pytest.raises(OSError, match="No space left"):
        build(tmp_path / "c.jsonl", tmp_path / "out")
    assert list((tmp_path / "out" / "data").iterdir()) == []


def test_questions_are_refused(tmp_path):
    write_lines(tmp_path / "q.jsonl", [{"id": 1, "question": "问", "answer": "答"}])
    with pytest.raises(ValueError, match="rewrite them first"):
        build(tmp_path / "q.jsonl", tmp_path / "out")


@pytest.mark.parametrize("number", [2, 15, 60])
def test_a_small_corpus_loads_from_its_folder(tmp_path, number):
    """Fifteen conversations fill no validation split; a file without rows would keep the others from loading."""
    write_lines(tmp_path / "conversations.jsonl", [conversation(n) for n in range(60)])
    build(tmp_path, tmp_path / "out")
    write_lines(tmp_path / "conversations.jsonl", [conversation(n) for n in range(number)])
    card = build(tmp_path, tmp_path / "out")
    for config, splits in card["configs"].items():
        files = {split: str(tmp_path / "out" / "data" / f"{config}-{split}.parquet") for split in splits}
        loaded = load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "cache"))
        assert {split: rows.num_rows for split, rows in loaded.items()} == {
            split: found["rows"] for split, found in splits.items()
        }
        assert sorted(path.name for path in (tmp_path / "out" / "data").glob(f"{config}-*")) == sorted(
            f"{config}-{split}.parquet" for split in splits
        )
