import gzip
import json

import orjson
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from soulchatcorpus.files import write_lines
from soulchatcorpus.reading import corpus as reading
from soulchatcorpus.reading import json_stream as records
from soulchatcorpus.reading.containers import list_files
from soulchatcorpus.reading.corpus import Report, read_corpus, read_tables, rejection
from soulchatcorpus.reading.json_stream import CorpusError
from soulchatcorpus.tables import conversation_table
from tests.soulchatcorpus.strategies import messages, regular_messages

GOOD = {
    "id": 1,
    "topic": None,
    "messages": [{"role": "user", "content": "一"}, {"role": "assistant", "content": "二"}],
}


def write(path, *lines: dict | str):
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


def test_the_first_bad_record_raises(tmp_path):
    path = write(tmp_path / "a.jsonl", GOOD, "{", GOOD)
    with pytest.raises(CorpusError, match=r"a\.jsonl: record 2, line 2: broken JSON"):
        list(read_corpus(path))


def test_skipping_counts_and_keeps_every_rejected_record(tmp_path):
    bad = {"id": 2, "messages": [{"role": "boss", "content": "一"}]}
    path = write(tmp_path / "a.jsonl", GOOD, "{", bad, GOOD | {"id": 3})
    report = Report()
    with (tmp_path / "rejected").open("wb") as report.rejects:
        found = list(read_corpus(path, on_error="skip", report=report))
    assert [conversation.id for conversation in found] == ["1", "3"]
    assert (report.rejected, report.conversations, report.turns) == (2, 2, 2)
    first, second = (orjson.loads(line) for line in (tmp_path / "rejected").read_bytes().splitlines())
    assert first["reason"].startswith("broken JSON")
    assert (first["record"], first["place"], first["text"]) == (2, "line 2", "{")
    assert second["value"] == bad
    assert "the role 'boss'" in second["reason"]


def test_nothing_to_read_is_an_error_even_when_skipping(tmp_path):
    path = write(tmp_path / "a.jsonl", "{")
    with pytest.raises(CorpusError, match=r"no conversation in .*a\.jsonl: .*record 1, line 1: broken JSON"):
        list(read_corpus(path, on_error="skip"))


@pytest.mark.parametrize("content", ["", "[]", "[\n]"])
def test_a_file_without_records(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(CorpusError, match=r"a\.json: "):
        list(read_corpus(tmp_path / "a.json"))


def test_unknown_names():
    with pytest.raises(CorpusError, match="format is 'relase'; allowed: psydt, messages"):
        list(read_corpus("x", format="relase"))
    with pytest.raises(CorpusError, match="on_error is 'ignore'; allowed: raise, skip"):
        list(read_corpus("x", on_error="ignore"))


def test_paths(tmp_path):
    with pytest.raises(CorpusError, match="no such file or folder"):
        list_files(tmp_path / "nothing")
    with pytest.raises(CorpusError, match=r"no data file in this folder; they end in \.csv"):
        list_files(tmp_path)
    for name in ("10.json", "9.json", "README.md", ".hidden.json", "a.jsonl.gz", "sub/1.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    names = [str(path.relative_to(tmp_path)) for path in list_files(tmp_path)]
    assert names == ["9.json", "10.json", "a.jsonl.gz", "sub/1.json"]


def test_a_record_of_no_known_format_is_one_record(tmp_path):
    path = write(tmp_path / "a.jsonl", {"about": "a corpus"}, GOOD, {"about": 2}, GOOD | {"id": 2})
    with pytest.raises(
        CorpusError, match=r"a\.jsonl: record 1, line 1: no known format, .* keys 'about'; known: psydt"
    ):
        list(read_corpus(path))
    report = Report()
    assert [conversation.id for conversation in read_corpus(path, on_error="skip", report=report)] == ["1", "2"]
    assert report.rejected == 2


@pytest.mark.parametrize("first", ['{"rol": "client", "content": "一"}', '{"role" "client", "content": "一"}'])
def test_a_dialogue_that_lost_its_first_message_is_none(tmp_path, first):
    others = '{"role": "client", "content": "二"}, {"role": "counselor", "content": "三"}'
    (tmp_path / "1.json").write_text(f"[{others}]")
    (tmp_path / "2.json").write_text(f"[{first}, {others}]")
    report = Report()
    assert [conversation.id for conversation in read_corpus(tmp_path, on_error="skip", report=report)] == ["1"]
    assert report.rejected == 1


def test_no_file_is_overlooked_for_the_case_of_its_ending(tmp_path):
    for name in ("a.json", "b.JSON", "c.JSONL.GZ"):
        (tmp_path / name).write_text("")
    assert [path.name for path in list_files(tmp_path)] == ["a.json", "b.JSON", "c.JSONL.GZ"]


def test_truncated_gzip_keeps_what_came_before(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "BLOCK_BYTES", 1000)
    lines = "\n".join(json.dumps(GOOD | {"id": number, "x": str(number**30)}) for number in range(500))
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode())[:-100])
    with pytest.raises(CorpusError, match=r"a\.jsonl\.gz: record \d+, byte \d+: Truncated compressed stream"):
        list(read_corpus(tmp_path / "a.jsonl.gz"))
    report = Report()
    found = [conversation.id for conversation in read_corpus(tmp_path, on_error="skip", report=report)]
    assert len(found) > 100
    assert [id.split("~")[0] for id in found] == [str(number) for number in range(len(found))]
    assert report.rejected == 1


def test_a_parquet_file_of_conversations(tmp_path):
    import pyarrow.parquet as pq

    (conversation,) = read_corpus(write(tmp_path / "a.jsonl", GOOD | {"topic": "人际"}))
    pq.write_table(conversation_table([conversation]), tmp_path / "a.parquet")
    assert list(read_corpus(tmp_path / "a.parquet")) == [conversation]
    (tmp_path / "b.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-9])
    with pytest.raises(CorpusError, match=r"b\.parquet: broken Parquet"):
        list(read_corpus(tmp_path / "b.parquet"))


def test_a_rejected_value_that_json_has_not(tmp_path):
    import pyarrow.parquet as pq

    rows = pa.table({"id": [1, 2], "messages": [b"\xff", None]})
    pq.write_table(rows, tmp_path / "a.parquet")
    report = Report()
    with (tmp_path / "rejected").open("wb") as report.rejects, pytest.raises(CorpusError, match="messages are bytes"):
        list(read_corpus(tmp_path / "a.parquet", on_error="skip", report=report))
    first, _ = (orjson.loads(line) for line in (tmp_path / "rejected").read_bytes().splitlines())
    assert first["value"] == {"id": 1, "messages": "b'\\xff'"}


def test_the_report(tmp_path):
    broken = {"id": 1, "topic": "未明确", "messages": [*GOOD["messages"], {"role": "user", "content": " "}]}
    report = Report()
    list(read_corpus(write(tmp_path / "a.jsonl", GOOD | {"topic": "情绪"}, broken), report=report))
    found = report.to_dict()
    assert {rule: entry["count"] for rule, entry in found["rules"].items()} == {
        "blank_message": 1,
        "duplicate_id": 1,
        "unknown_topic": 1,
    }
    assert (found["conversations"], found["messages"], found["turns"], found["topics"]) == (2, 4, 2, {"情绪": 1})
    assert "rule blank_message: 1 messages, left out" in list(report.lines())


topics = st.sampled_from([None, "", "情绪", "人际", "未明确"])
clean = st.fixed_dictionaries({"id": st.integers(0, 10**6), "topic": topics, "messages": regular_messages()})
unclean = st.fixed_dictionaries({"id": st.integers(0, 9), "topic": topics, "messages": messages()})


@given(
    st.lists(clean, min_size=5, max_size=25), st.lists(unclean, max_size=2), st.randoms(), st.sampled_from([0, 1, 2])
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_reading_in_bulk_gives_the_same(tmp_path, some, others, chance, form):
    rows = some + others
    chance.shuffle(rows)
    path = tmp_path / "a.json"
    if form == 0:
        path.write_text("\n".join(json.dumps(row) for row in rows))
    else:
        path.write_text(json.dumps(rows, ensure_ascii=False, indent=4 if form == 1 else None))
    one_by_one, in_bulk = Report(), Report()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "BLOCK_BYTES", 700)  # so that most records are offered to the bulk reader
        expected = list(read_corpus(path, report=one_by_one))
        tables = list(read_tables(path, None, "raise", in_bulk))
    assert pa.concat_tables(tables).to_pylist() == conversation_table(expected).to_pylist()
    assert one_by_one.to_dict() == in_bulk.to_dict()


def test_regular_records_are_read_in_bulk(tmp_path, monkeypatch):
    """Else the speed would be lost without anybody noticing."""
    messages = [{"role": "system", "content": "你是"}, *GOOD["messages"]]
    monkeypatch.setattr(records, "BLOCK_BYTES", 5000)
    monkeypatch.setattr(reading, "BATCH_CONVERSATIONS", 10**6)
    rows = [GOOD | {"id": number} | ({"messages": messages} if number % 2 else {}) for number in range(1000)]
    (tmp_path / "a.json").write_text(json.dumps(rows, ensure_ascii=False, indent=4))
    tables = list(read_tables(tmp_path / "a.json", None, "raise", Report()))
    assert len(tables) > 10
    assert sum(map(len, tables)) == 1000


def test_what_is_not_utf8_does_not_pass_in_bulk(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "BLOCK_BYTES", 500)
    lines = [json.dumps(GOOD | {"id": number}, ensure_ascii=False).encode() for number in range(50)]
    lines[40] = lines[40].replace("一".encode(), b"\xff\xfe")
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines))
    with pytest.raises(CorpusError, match="record 41, line 41: not UTF-8"):
        list(read_tables(tmp_path / "a.jsonl", None, "raise", Report()))


def test_a_line_with_two_records_does_not_pass_in_bulk(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "BLOCK_BYTES", 500)
    lines = [json.dumps(GOOD | {"id": number}) for number in range(50)]
    lines[40] += json.dumps(GOOD | {"id": 50})
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    with pytest.raises(CorpusError, match="record 41, line 41: broken JSON"):
        list(read_tables(tmp_path / "a.jsonl", None, "raise", Report()))


def test_a_rejection_has_the_value_or_the_text():
    record = records.Record("f", 3, place="line 3", problem="why", raw="{")
    assert rejection(record) == {"file": "f", "record": 3, "place": "line 3", "reason": "why", "text": "{"}


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["array", "line"])
def test_a_200_mb_line(tmp_path, shape):
    """An array on one line is read; one record of that size is refused; memory stays small in both."""
    import subprocess
    import sys

    path = tmp_path / "a.json"
    record = json.dumps(GOOD | {"messages": GOOD["messages"] * 500}).encode()
    with path.open("wb") as file:
        if shape == "array":
            file.write(b"[" + b",".join([record] * 10))
            for _ in range(200_000_000 // len(record)):
                file.write(b"," + record)
            file.write(b"]")
        else:
            file.write(b'{"id": 1, "messages": [{"role": "user", "content": "' + b"x" * 200_000_000 + b'"}]}')
    code = """if True:
        import pathlib, sys
        from soulchatcorpus import read_corpus
        try:
            print(sum(1 for _ in read_corpus(sys.argv[1])))
        except ValueError as error:
            print(error)
        # not getrusage: its peak is inherited from the process that started this one
        status = pathlib.Path("/proc/self/status").read_text().splitlines()
        print(next(line.split()[1] for line in status if line.startswith("VmHWM")))
    """
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    told, peak_kilobytes = done.stdout.splitlines()
    if shape == "array":
        assert int(told) > 3000
    else:
        assert "record 1, line 1: longer than 16,777,216 bytes" in told
    assert int(peak_kilobytes) < 300 * 1024


def test_a_problem_of_many_records_is_told_once(tmp_path):
    good = {"messages": [{"role": "user", "content": "累"}, {"role": "assistant", "content": "嗯"}]}
    write_lines(tmp_path / "a.jsonl", [{"messages": "x"}, *({"case": number} for number in range(30)), good])
    report = Report()
    list(read_corpus(tmp_path / "a.jsonl", on_error="skip", report=report))
    *_, count, first, second, last = report.lines()
    assert count == "31 records rejected"
    assert "a.jsonl: record 1, line 1: " in first
    assert "more like it" not in first
    assert "a.jsonl: record 2, line 2: " in second
    assert second.endswith(" (and 18 more like it)")
    assert last == "  … and 11 more"
