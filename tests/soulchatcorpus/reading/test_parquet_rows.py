import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from soulchatcorpus.reading.corpus import Report, read_corpus
from soulchatcorpus.reading.json_stream import MAX_RECORD_BYTES, CorpusError
from soulchatcorpus.reading.parquet_rows import _sizes

CHAT = [{"role": "user", "content": "一"}, {"role": "assistant", "content": "二"}]
TYPE = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))


def test_rows_of_many_messages_and_nulls(tmp_path):
    rows = [CHAT * (number % 3 + 1) for number in range(2500)]
    table = pa.table({"id": [None] * 2500, "messages": pa.array(rows, TYPE), "topic": [None, 3] * 1250})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=700)
    found = list(read_corpus(tmp_path / "a.parquet"))
    assert [talk.messages for talk in found] == rows
    assert (found[1].topic, found[2].topic) == ("成长发展", None)


@pytest.mark.parametrize("rows", [1, 40])
def test_a_small_file_of_huge_rows_takes_little_memory(tmp_path, rows):
    text = "好" * (MAX_RECORD_BYTES // 3 + 10)
    messages = pa.array([[{"role": "user", "content": text}]] * rows, TYPE)
    pq.write_table(pa.table({"messages": messages}), tmp_path / "a.parquet", compression="zstd")
    del messages
    assert (tmp_path / "a.parquet").stat().st_size < 1_000_000
    code = (
        "import resource, sys; from soulchatcorpus import read_corpus\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n    list(read_corpus(sys.argv[1]))\n"
        "except ValueError as error:\n    print(error)\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.parquet")], capture_output=True, text=True, check=True
    )
    problem, megabytes = run.stdout.splitlines()
    assert "record 1: longer than 16,777,216 bytes" in problem
    assert int(megabytes) < 300


def test_skipping_goes_on_after_values_that_python_has_not(tmp_path):
    late = pa.array([0, 400_000_000_000_000_000, 0], pa.timestamp("us"))
    table = pa.table({"messages": pa.array([CHAT] * 3, TYPE), "at": late})
    pq.write_table(table, tmp_path / "late.parquet")
    bad = pa.array([b"ok", b"\xff\xfe", b"ok"]).cast(pa.binary())
    text = pa.Array.from_buffers(pa.string(), 3, bad.buffers())
    pq.write_table(pa.table({"messages": pa.array([CHAT] * 3, TYPE), "note": text}), tmp_path / "text.parquet")
    for name in ("late", "text"):
        report = Report()
        with (tmp_path / "rejects").open("wb") as report.rejects:
            found = list(read_corpus(tmp_path / f"{name}.parquet", on_error="skip", report=report))
        assert (len(found), report.rejected, report.examples[0].number) == (2, 1, 2)
        with pytest.raises(CorpusError, match=rf"{name}\.parquet: record 2: a value that cannot be read"):
            list(read_corpus(tmp_path / f"{name}.parquet"))


def test_rows_that_went_through_arrow_load(tmp_path):
    import datasets

    rows = [{"id": "1", "messages": CHAT, "labels": None}, {"id": "2", "messages": CHAT, "labels": {"crisis": "x"}}]
    data = datasets.Dataset.from_list(rows)
    data.to_json(tmp_path / "a.jsonl")
    data.to_parquet(tmp_path / "a.parquet")
    for ending in ("jsonl", "parquet"):
        assert [talk.id for talk in read_corpus(tmp_path / f"a.{ending}")] == ["1", "2"]


def test_columns_of_other_kinds_do_not_make_a_file_unreadable(tmp_path):
    """Maps, of which a slice has offsets of its own; a time zone that nobody has."""
    talk = [{"role": "user", "content": "我睡不着"}, {"role": "assistant", "content": "多久了？"}]
    kinds = pa.array([[("a" * n, "b")] * n for n in range(4)], pa.map_(pa.string(), pa.string()))
    pq.write_table(pa.table({"messages": [talk] * 4, "map": kinds}), tmp_path / "map.parquet", row_group_size=2)
    assert len(list(read_corpus(tmp_path / "map.parquet"))) == 4
    assert list(_sizes(kinds[1:])) == [2, 6, 12]
    times = pa.array([0, None], pa.timestamp("us", tz="Nowhere/None"))
    pq.write_table(pa.table({"messages": [talk] * 2, "time": times}), tmp_path / "zone.parquet")
    report = Report()
    assert len(list(read_corpus(tmp_path / "zone.parquet", on_error="skip", report=report))) == 1
    assert "a value that cannot be read: 'Nowhere/None'" in str(report.examples[0].error())
