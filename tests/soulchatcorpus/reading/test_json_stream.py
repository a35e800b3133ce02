import gzip
import json
import subprocess
import sys
import time

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from soulchatcorpus.reading import json_stream as records
from soulchatcorpus.reading.corpus import read_corpus
from soulchatcorpus.reading.json_stream import read_records

RECORDS = [
    {"id": number, "messages": [{"role": "user", "content": f'第{number}个 "}},{{" \\ 😀'}], "id2": [{"id": 1}]}
    for number in range(50)
]


def zstd(data: bytes) -> bytes:
    return pa.Codec("zstd").compress(data, asbytes=True)


def write(folder, text: str | bytes, name: str = "a.json"):
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def values(path) -> list:
    found = list(read_records(path))
    assert [record.problem for record in found] == [None] * len(found)
    assert [record.number for record in found] == list(range(1, len(found) + 1))
    return [record.value for record in found]


def problems(path) -> list[str]:
    return [str(record.error()).replace(str(path), "F") for record in read_records(path) if record.problem]


@pytest.fixture(params=[7, 64, 1000, 1 << 21], autouse=True)
def block_bytes(request, monkeypatch):
    """Blocks so small that records, characters and escapes are cut anywhere, and the real size."""
    monkeypatch.setattr(records, "BLOCK_BYTES", request.param)
    return request.param


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(RECORDS, ensure_ascii=False, indent=4),
        json.dumps(RECORDS, ensure_ascii=False, indent=2),
        json.dumps(RECORDS, indent="\t"),
        json.dumps(RECORDS, ensure_ascii=False, separators=(",", ":")),
        json.dumps(RECORDS),
        "\ufeff \n" + json.dumps(RECORDS, ensure_ascii=False, indent=4) + "\n\n",
        "\n".join(json.dumps(record, ensure_ascii=False) for record in RECORDS),
        "\ufeff\n" + "\r\n\r\n".join(json.dumps(record) for record in RECORDS) + "\n",
    ],
    ids=["indent 4", "indent 2", "tabs", "compact", "default", "bom", "lines", "lines with blanks"],
)
@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstd], ids=["plain", "gzip", "zstd"])
def test_arrays_and_lines(tmp_path, text, compress):
    assert values(write(tmp_path, compress(text.encode()))) == RECORDS


def test_gzip_of_several_members(tmp_path):
    lines = [json.dumps(record).encode() + b"\n" for record in RECORDS]
    assert values(write(tmp_path, b"".join(gzip.compress(line) for line in lines))) == RECORDS


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "a", '"'],
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.sampled_from(["id", "a", "b"]), json_values, max_size=3), min_size=1), st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_any_array_reads_as_json_does(tmp_path, given_records, data):
    indent = data.draw(st.sampled_from([None, 0, 1, 4]))
    text = json.dumps(given_records, ensure_ascii=data.draw(st.booleans()), indent=indent)
    assert values(write(tmp_path, text.encode("utf-8", "surrogatepass"))) == given_records


def test_a_broken_record_is_named_and_the_others_are_read(tmp_path):
    lines = json.dumps(RECORDS, ensure_ascii=False, indent=4).split("\n    },\n    {\n")
    lines[20] = lines[20].replace('"content":', '"content"', 1)
    path = write(tmp_path, "\n    },\n    {\n".join(lines))
    found = list(read_records(path))
    assert [record.value for record in found if record.problem is None] == RECORDS[:20] + RECORDS[21:]
    (bad,) = [record for record in found if record.problem]
    at = path.read_bytes().index("第20个".encode()) - 1
    assert str(bad.error()) == f"{path}: record 21, byte {at}: broken JSON: Expecting ':' delimiter"
    assert "第20个" in bad.raw


@pytest.mark.parametrize("indent", [None, 4])
@pytest.mark.parametrize("broken", [0, 49])
def test_the_others_are_read_where_the_first_or_the_last_is_broken(tmp_path, indent, broken):
    text = json.dumps(RECORDS, indent=indent)
    start = text.index(f'"id": {broken},')
    path = write(tmp_path, text[:start] + text[start:].replace('"messages":', '"messages"', 1))
    found = list(read_records(path))
    (bad,) = [record for record in found if record.problem]
    assert (bad.number, bad.problem) == (broken + 1, "broken JSON: Expecting ':' delimiter")
    assert [record.value for record in found if record is not bad] == RECORDS[:broken] + RECORDS[broken + 1 :]


def test_the_others_are_read_where_one_is_json_only_to_python(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "BLOCK_BYTES", 1)  # so that a block ends where the record does
    lines = [json.dumps(record) for record in RECORDS]
    lines[20] = '{"id": NaN}'
    found = list(read_records(write(tmp_path, f"[{', '.join(lines)}]")))
    assert [record.number for record in found if record.problem] == [21]
    assert [record.value for record in found if not record.problem] == RECORDS[:20] + RECORDS[21:]


def test_what_is_broken_and_without_end_is_told_as_broken(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "MAX_RECORD_BYTES", 3000)
    text = '[{"a": 1, b}, ' + '"x", ' * 2000 + "1]"
    expected = "F: record 1, byte 10: broken JSON: Expecting property name enclosed in double quotes"
    assert problems(write(tmp_path, text))[0] == expected


def test_a_broken_line_is_named(tmp_path):
    assert problems(write(tmp_path, '{"a": 1}\n\n{"a": \n{"a": 2}\n')) == [
        "F: record 2, line 3: broken JSON: unexpected end of data: line 1 column 7 (char 6)"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", "F: the file is empty"),
        (b" \n\t", "F: the file is empty"),
        (b'[{"a": 1}, {"a": 2', "F: record 2, byte 18: broken JSON: Expecting ',' delimiter"),
        (b'[{"a": 1},', "F: record 2, byte 10: the file ends before the array is closed"),
        (b'[{"a": 1}] x', "F: record 2, byte 10: there is more after the end of the array"),
        (b'[{"a": "\xff"}]', "F: record 1, byte 1: not UTF-8: byte 7 of the record is 0xff"),
        (b'{"a": "\xe4\xbd"}\n', "F: record 1, line 1: not UTF-8: byte 7 of the record is 0xe4"),
        ("用户".encode("utf-16"), "F: record 1, line 1: not UTF-8: byte 0 of the record is 0xff"),
        (
            b'{"a": NaN}\n',
            "F: record 1, line 1: broken JSON: unexpected character",
        ),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path, text, expected):
    assert problems(write(tmp_path, text))[0].startswith(expected)


@pytest.mark.parametrize("compress", [gzip.compress, zstd], ids=["gzip", "zstd"])
def test_truncated_compression(tmp_path, compress):
    data = compress("\n".join(json.dumps(record) for record in RECORDS * 20).encode())
    found = problems(write(tmp_path, data[:-20]))
    assert found[-1].endswith("Truncated compressed stream")


def test_no_record_is_longer_than_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "MAX_RECORD_BYTES", 3000)
    long, short = json.dumps({"a": "x" * 9000}), json.dumps({"a": 1})
    lines = list(read_records(write(tmp_path, f"{short}\n{long}\n{short}\n")))
    if lines[1].problem:  # a block that holds the whole line needs no limit
        assert "longer than 3,000 bytes" in lines[1].problem
    assert [record.value for record in (lines[0], lines[2])] == [{"a": 1}] * 2


DEEP = """
import sys
from pathlib import Path
from soulchatcorpus.reading.json_stream import read_records
print([record.problem for record in read_records(Path(sys.argv[1]))])
"""


@pytest.mark.parametrize("text", ["[" * 100_000, '[{"a": ' + "[" * 100_000 + "]" * 100_000 + "}]", '{"a": ' * 100_000])
def test_deep_nesting_is_an_error_and_no_crash(tmp_path, text, block_bytes):
    if block_bytes < 1 << 21:
        pytest.skip("once is enough")
    command = [sys.executable, "-c", DEEP, str(write(tmp_path, text))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "nested too deeply" in done.stdout or "broken JSON" in done.stdout


def test_a_small_file_of_nothing_but_blanks_is_told_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "BLOCK_BYTES", 1 << 21)
    with gzip.open(tmp_path / "a.jsonl.gz", "wb", compresslevel=1) as file:
        for _ in range(100):
            file.write(b" " * (1 << 22))
    started = time.process_time()
    [record] = read_records(tmp_path / "a.jsonl.gz")
    assert record.problem == "the file is empty"
    assert time.process_time() - started < 5


def test_json_of_windows_is_told_what_it_is(tmp_path):
    """PowerShell's > writes UTF-16."""
    for name in ("utf-16", "utf-16-be"):
        text = '{"messages": []}' if name == "utf-16" else '\ufeff{"messages": []}'
        (tmp_path / f"{name}.jsonl").write_bytes(text.encode(name))
        with pytest.raises(records.CorpusError, match="JSON that is not UTF-8; allowed: UTF-8"):
            list(read_corpus(tmp_path / f"{name}.jsonl"))
