import json
import subprocess
import sys

import orjson
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from soulchatcorpus.files import making
from soulchatcorpus.reading.corpus import read_corpus
from soulchatcorpus.reading.json_stream import CorpusError
from soulchatcorpus.tools.convert import SCHEMAS, convert
from tests.paths import ROOT
from tests.soulchatcorpus.strategies import conversations


def chat(*lines: str) -> list[dict[str, str]]:
    roles = {"s": "system", "u": "user", "a": "assistant"}
    return [{"role": roles[line[0]], "content": line[1:]} for line in lines]


RECORDS = [
    {"id": 1, "topic": "人际", "messages": chat("s你是", "a早", "u一", "u二", "a三", "u四", "a五", "u谢谢")},
    {"id": 2, "topic": None, "messages": chat("u一")},
]
FIRST = "心理咨询师：早\n用户：一\n用户：二\n心理咨询师："
TURN = {"conversation_id": "1", "topic": "人际关系", "system": "你是"}
EXPECTED = {
    "turns": [
        {"id": "1-1", "turn": 1, "prompt": FIRST, "completion": "三"} | TURN,
        {"id": "1-2", "turn": 2, "prompt": f"{FIRST}三\n用户：四\n心理咨询师：", "completion": "五"} | TURN,
    ],
    "conversations": [
        {"id": "1", "topic": "人际关系", "messages": chat("s你是", "a早", "u一", "u二", "a三", "u四", "a五", "u谢谢")},
        {"id": "2", "topic": None, "messages": chat("u一")},
    ],
    "sharegpt": [
        {
            "id": "1",
            "conversations": [
                {"from": "human", "value": "一\n二"},
                {"from": "gpt", "value": "三"},
                {"from": "human", "value": "四"},
                {"from": "gpt", "value": "五"},
            ],
            "system": "你是",
        }
    ],
    "alpaca": [
        {"id": "1", "instruction": "四", "input": "", "output": "五", "history": [["一\n二", "三"]], "system": "你是"}
    ],
}


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source.jsonl"
    path.write_text("\n".join(json.dumps(record) for record in RECORDS))
    return path


@pytest.mark.parametrize("to", EXPECTED)
def test_json_lines(tmp_path, source, to):
    conversion = convert(source, tmp_path / "out.jsonl", to)
    rows = [orjson.loads(line) for line in (tmp_path / "out.jsonl").read_bytes().splitlines()]
    assert rows == EXPECTED[to]
    assert conversion.rows == len(rows)


@pytest.mark.parametrize("to", EXPECTED)
def test_parquet(tmp_path, source, to):
    conversion = convert(source, tmp_path / "out.parquet", to)
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.schema.equals(SCHEMAS[to])
    rows = [row | ({"topic": 4 if row["topic"] else None} if "topic" in row else {}) for row in EXPECTED[to]]
    nobody = {"client": None, "counsellor": None}
    assert table.to_pylist() == [row | nobody for row in rows]
    assert conversion.rows == len(rows)


def test_what_the_peers_cannot_carry_is_counted(tmp_path, source):
    conversion = convert(source, tmp_path / "out.jsonl", "sharegpt")
    assert conversion.left_out == {
        "messages before the user's first": 1,
        "messages after the counsellor's last": 2,
        "conversations without a pair of user and counsellor": 1,
    }


@pytest.mark.parametrize("to", ["conversations", "sharegpt", "alpaca"])
@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
@pytest.mark.parametrize("system", ["你是", " 你是\n用户：例\n", None])
def test_a_system_text_goes_there_and_back(tmp_path, to, ending, system):
    talk = chat("u一", "a二", "u三", "a四")
    messages = [{"role": "system", "content": system}, *talk] if system else talk
    (tmp_path / "source.jsonl").write_text(json.dumps({"id": 1, "messages": messages}))
    convert(tmp_path / "source.jsonl", tmp_path / f"out.{ending}", to)
    (conversation,) = read_corpus(tmp_path / f"out.{ending}")
    assert conversation.messages == messages


@pytest.mark.parametrize("to", ["conversations", "sharegpt", "alpaca"])
@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
@given(some=st.lists(conversations(), min_size=1, max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
def test_what_is_written_reads_back(tmp_path, some, to, ending):
    records = [{"id": c.id, "topic": c.topic, "messages": c.messages} for c in some]
    records.append({"id": "last", "topic": None, "messages": RECORDS[0]["messages"]})
    first, second, third = (tmp_path / f"{name}.{ending}" for name in ("first", "second", "third"))
    (tmp_path / "source.json").write_text(json.dumps(records))
    convert(tmp_path / "source.json", first, to, overwrite=True)
    convert(first, second, to, overwrite=True)
    convert(second, third, to, overwrite=True)
    assert list(read_corpus(second)) == list(read_corpus(third))
    if to == "conversations":
        read = list(read_corpus(tmp_path / "source.json"))
        assert [(c.id, c.messages, c.topic) for c in read_corpus(first)] == [(c.id, c.messages, c.topic) for c in read]


def test_skipped_records_lie_beside_the_output(tmp_path, source):
    source.write_text(source.read_text() + "\n{broken\n")
    with pytest.raises(CorpusError, match="record 3, line 3: broken JSON"):
        convert(source, tmp_path / "out.jsonl", "turns")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source.jsonl"]
    conversion = convert(source, tmp_path / "out.jsonl", "turns", on_error="skip")
    (rejected,) = (orjson.loads(line) for line in (tmp_path / "out.jsonl.rejected.jsonl").read_bytes().splitlines())
    assert rejected["text"] == "{broken"
    assert conversion.report.rejected == 1
    assert len(list(tmp_path.iterdir())) == 3


def test_no_empty_file_of_rejected_records(tmp_path, source):
    convert(source, tmp_path / "out.parquet", "turns", on_error="skip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.parquet", "source.jsonl"]


def test_bad_requests(tmp_path, source):
    with pytest.raises(CorpusError, match="the target is 'turn'; allowed: turns, conversations, sharegpt, alpaca"):
        convert(source, tmp_path / "out.jsonl", "turn")
    with pytest.raises(CorpusError, match=r"the output has the ending \.csv; allowed: \.jsonl, \.parquet"):
        convert(source, tmp_path / "out.csv", "turns")
    with pytest.raises(CorpusError, match="is not a folder; allowed: an output in an existing folder"):
        convert(source, tmp_path / "nowhere" / "out.jsonl", "turns")


def test_nothing_is_overwritten_in_silence(tmp_path, source):
    before = source.read_bytes()
    with pytest.raises(CorpusError, match=r"source\.jsonl is a file of the source; allowed: another name"):
        convert(source, source, "conversations", overwrite=True)
    with pytest.raises(CorpusError, match=r"source\.jsonl is a file of the source"):
        convert(tmp_path, tmp_path / "source.jsonl", "turns", overwrite=True)
    assert source.read_bytes() == before
    convert(source, tmp_path / "out.parquet", "turns")
    with pytest.raises(FileExistsError, match=r"out\.parquet already exists; allowed: another name, or `overwrite`"):
        convert(source, tmp_path / "out.parquet", "conversations")
    assert convert(source, tmp_path / "out.parquet", "conversations", overwrite=True).rows == 2
    (tmp_path / "new.jsonl.rejected.jsonl").write_text("mine")
    with pytest.raises(FileExistsError, match=r"rejected\.jsonl already exists"):
        convert(source, tmp_path / "new.jsonl", "turns", on_error="skip")


def test_psyqa_becomes_the_questions_that_making_starts_from(tmp_path):
    answers = [{"answer_text": "一"}, {"answer_text": "二"}]
    record = {"question": "问", "description": "述", "questionID": 5, "answers": answers}
    (tmp_path / "psyqa.json").write_text(json.dumps([record, record | {"questionID": 6, "answers": []}]))
    conversion = convert(tmp_path / "psyqa.json", tmp_path / "out.jsonl", "questions")
    rows = [orjson.loads(line) for line in (tmp_path / "out.jsonl").read_bytes().splitlines()]
    assert rows == [
        {"id": "5-1", "question": "问\n述", "answer": "一", "topic": None},
        {"id": "5-2", "question": "问\n述", "answer": "二", "topic": None},
    ]
    assert conversion.left_out == {"conversations of more or less than a question and an answer": 1}


@pytest.mark.parametrize("length", [236, 244, 255])
def test_names_as_long_as_the_file_system_allows(tmp_path, source, length):
    output = tmp_path / ("a" * (length - 6) + ".jsonl")
    assert convert(source, output, "conversations").rows == 2


STATED = {"gender": "female", "openness": "high", "about": "爱安静"}


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.parametrize("to", [to for to in SCHEMAS if to != "turns"])
def test_system_client_and_counsellor_come_back_from_every_form(tmp_path, to, suffix):
    messages = chat("u一", "a二") if to == "questions" else chat("s你是", "u一", "a二")
    source, first, second = tmp_path / "source.jsonl", tmp_path / f"first{suffix}", tmp_path / "second.jsonl"
    bare = {"id": "2", "messages": messages}
    records = [bare | {"id": "1", "client": STATED, "counsellor": "lin"}, bare]
    source.write_text("\n".join(map(json.dumps, records)))
    convert(source, first, to)
    convert(first, second, "conversations")
    rows = [orjson.loads(line) for line in second.read_bytes().splitlines()]
    assert rows == [{"topic": None, **record} for record in records]


def test_client_and_counsellor_of_turns(tmp_path):
    stated = RECORDS[0] | {"client": {"gender": None, "age": 20}, "counsellor": 7}
    (tmp_path / "source.jsonl").write_text("\n".join(map(json.dumps, [stated, RECORDS[0]])))
    convert(tmp_path / "source.jsonl", tmp_path / "turns.jsonl", "turns")
    rows = [orjson.loads(line) for line in (tmp_path / "turns.jsonl").read_bytes().splitlines()]
    people = {"client": {"age_group": "18-25"}, "counsellor": "7"}
    assert [{name: row.get(name) for name in people} for row in rows] == [people] * 2 + [dict.fromkeys(people)] * 2
    convert(tmp_path / "source.jsonl", tmp_path / "turns.parquet", "turns")
    table = pq.read_table(tmp_path / "turns.parquet")
    assert [row["counsellor"] for row in table.to_pylist()] == ["7", "7", None, None]
    assert table["client"].to_pylist()[2:] == [None, None]


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"client": {"courage": "high"}}, "'courage' is no field of a client; allowed: age_group"),
        ({"client": {"openness": "huge"}}, "openness of the client is 'huge'; allowed: low, medium, high"),
        ({"client": "young"}, "client is 'young'; allowed: an object"),
        ({"big_five": ["high"]}, "big_five of the client is ['high']; allowed: an object"),
        ({"counsellor": {"name": "lin"}}, "'counsellor' is an object; allowed: text or a whole number"),
    ],
)
def test_what_is_no_client_or_counsellor(tmp_path, more, problem):
    (tmp_path / "source.jsonl").write_text(json.dumps(RECORDS[0] | more))
    with pytest.raises(CorpusError) as error:
        convert(tmp_path / "source.jsonl", tmp_path / "out.jsonl", "conversations")
    assert problem in str(error.value)
    assert not (tmp_path / "out.jsonl").exists()


def test_of_two_at_once_one_writes_and_the_other_takes_nothing_away(tmp_path, source):
    """Whichever comes later: it is told that the other is at work, or that there is such a file."""
    code = "import sys; from soulchatcorpus.tools.convert import convert; convert(*sys.argv[1:])"
    words = [sys.executable, "-c", code, str(source), str(tmp_path / "out.jsonl")]
    both = [
        subprocess.Popen([*words, to], stderr=subprocess.PIPE, text=True, cwd=ROOT)
        for to in ("turns", "conversations")
    ]
    told = [run.communicate()[1] for run in both]
    assert sorted(run.returncode for run in both) == [0, 1]
    line = next(filter(None, told)).splitlines()[-1]
    assert "out.jsonl is in use by soulchat corpus convert (process " in line or "out.jsonl already exists" in line
    column = "prompt" if both[0].returncode == 0 else "messages"
    assert all(column in orjson.loads(row) for row in (tmp_path / "out.jsonl").read_bytes().splitlines())
    assert not list(tmp_path.glob(".*"))


def test_the_name_is_held_from_the_start(tmp_path, source):
    with (
        making(tmp_path / "out.jsonl", "soulchat corpus convert"),
        pytest.raises(OSError, match=r"out\.jsonl is in use by soulchat corpus convert \(process \d+ on "),
    ):
        convert(source, tmp_path / "out.jsonl", "turns", overwrite=True)
    convert(source, tmp_path / "out.jsonl", "turns")
