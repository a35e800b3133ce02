"""Where the rows of a split come from; that all of it makes one data set is in test_builder."""

import itertools

import orjson
import pyarrow.parquet as pq
import pytest

from soulchatcorpus.features import FEATURES
from soulchatcorpus.reading import parts
from soulchatcorpus.reading.corpus import Report, read_corpus
from soulchatcorpus.reading.parts import EmbeddedFile, ShardWriter, Source, Stream
from soulchatcorpus.schema import Conversation
from soulchatcorpus.tables import conversation_table, to_config


def conversation(number: int) -> Conversation:
    messages = [{"role": "user", "content": f"问{number}"}, {"role": "assistant", "content": f"答{number}"}]
    return Conversation(str(number), messages)


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.jsonl"
    rows = [{"id": c.id, "messages": c.messages} for c in map(conversation, range(50))]
    path.write_bytes(b"\n".join(map(orjson.dumps, rows)))
    return path


def ids_by_split(source: Source) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {split: [] for split in source.splits}
    for split, table in source.tables(Report()):
        found[split] += table.column("id").to_pylist()
    return found


def test_one_file_is_split_by_opening_and_nothing_is_lost(corpus):
    found = ids_by_split(Source({"train": [corpus]}))
    assert [*found] == ["train", "validation", "test"]
    assert sorted(itertools.chain.from_iterable(found.values()), key=int) == [str(n) for n in range(50)]
    assert found == ids_by_split(Source({"train": [corpus]}))
    assert all(found.values())


def test_splits_that_the_user_names_stay(corpus):
    """The ids of the second file are told apart, as everywhere in a corpus."""
    found = ids_by_split(Source({"train": [corpus], "test": [corpus]}))
    assert found == {"train": [str(n) for n in range(50)], "test": [f"{n}~2" for n in range(50)]}


def test_a_stream_is_one_split_of_the_same(corpus):
    source = Source({"train": [corpus]})
    for split, ids in ids_by_split(source).items():
        streamed = [id for table in Stream(source, split).tables("conversations") for id in table["id"].to_pylist()]
        assert streamed == ids


def test_shards_give_back_what_they_were_given_and_go(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "BATCH_CONVERSATIONS", 2)
    monkeypatch.setattr(parts, "SHARD_CONVERSATIONS", 4)
    writer = ShardWriter(tmp_path, "train", "turns")
    assert not writer.has_rows
    for number in range(7):
        writer.add(conversation_table([conversation(number)]))
    assert writer.has_rows
    shards = writer.finish()
    assert [shard.path.name for shard in shards] == ["train-00000.conversations", "train-00001.conversations"]
    rows = [row for shard in shards for table in shard.tables("turns") for row in table.to_pylist()]
    assert [row["id"] for row in rows] == [f"{number}-1" for number in range(7)]
    assert rows[3]["prompt"] == "用户：问3\n心理咨询师："
    assert list(tmp_path.iterdir()) == []


def test_a_split_without_turns_is_known_to_have_none(tmp_path):
    writer = ShardWriter(tmp_path, "test", "turns")
    writer.add(conversation_table([Conversation("1", [{"role": "user", "content": "有人吗"}])]))
    assert not writer.has_rows


@pytest.mark.parametrize("config", FEATURES)
def test_files_of_older_versions_have_nulls_for_client_and_counsellor(tmp_path, config):
    table = to_config(conversation_table(list(map(conversation, range(3)))), config)
    pq.write_table(table.drop_columns(["client", "counsellor"]), tmp_path / "old.parquet")
    [found] = EmbeddedFile(tmp_path / "old.parquet").tables(config)
    assert found.equals(table)
    if config == "conversations":
        read = read_corpus(tmp_path / "old.parquet")
        assert [(c.client, c.counsellor) for c in read] == [(None, None)] * 3
