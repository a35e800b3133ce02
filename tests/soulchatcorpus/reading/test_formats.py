import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from soulchatcorpus.reading.corpus import Report, read_corpus
from soulchatcorpus.reading.json_stream import CorpusError
from soulchatcorpus.schema import Conversation
from tests.paths import FIXTURES

SMILECHAT = FIXTURES / "corpus" / "smilechat"
DIALOGUE = [("user", "我很累"), ("assistant", "怎么了？"), ("user", "工作"), ("assistant", "说说看")]


def read(path, **options) -> list[Conversation]:
    return list(read_corpus(path, **options))


def said(conversation: Conversation) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in conversation.messages]


CHAT = [{"role": role, "content": content} for role, content in DIALOGUE]
WITH_SYSTEM = ("psydt", "xtuner", "sharegpt", "alpaca")
SAME_DIALOGUE = {
    "messages": {"id": 3, "topic": "情绪", "messages": CHAT},
    "psydt": {"id": 3, "normalizedTag": "情绪", "messages": [{"role": "system", "content": "你是"}, *CHAT]},
    "xtuner": {
        "conversation": [
            {"system": "你是", "input": "我很累", "output": "怎么了？"},
            {"system": "你是", "input": "工作", "output": "说说看"},
        ]
    },
    "sharegpt": {
        "system": "你是",
        "conversations": [
            {"from": "human" if role == "user" else "gpt", "value": content} for role, content in DIALOGUE
        ],
    },
    "alpaca": {
        "instruction": "工作",
        "input": "",
        "output": "说说看",
        "history": [["我很累", "怎么了？"]],
        "system": "你是",
    },
    "efaqa": {
        "md5": "3",
        "owner": "匿名",
        "title": "我很累",
        "label": {"s1": "1.13"},
        "chats": [
            {"sender": "audience", "type": "textMessage", "value": "怎么了？"},
            {"sender": "owner", "type": "textMessage", "value": "工作"},
            {"sender": "audience", "type": "textMessage", "value": "说说看"},
        ],
    },
}


@pytest.mark.parametrize("name", SAME_DIALOGUE)
@pytest.mark.parametrize("form", ["array", "lines", "named"])
def test_records_of_every_format(tmp_path, name, form):
    path = tmp_path / "corpus.json"
    lines = [json.dumps(SAME_DIALOGUE[name], ensure_ascii=False)]
    path.write_text("\n".join(lines) if form == "lines" else f"[{','.join(lines)}]")
    report = Report()
    (conversation,) = read(path, report=report, **({"format": name} if form == "named" else {}))
    assert said(conversation) == ([("system", "你是")] if name in WITH_SYSTEM else []) + DIALOGUE
    assert report.formats == {name: 1}
    assert conversation.id == ("3" if name in ("messages", "psydt", "efaqa") else "corpus-1")
    assert conversation.topic == ("情绪" if name in ("messages", "psydt") else None)


@pytest.mark.parametrize(
    "record",
    [
        {"conversation": [{"human": "我很累", "assistant": "怎么了？"}, {"human": "工作", "assistant": "说说看"}]},
        {"conversation": [{"role": role, "content": content, "turn_identifier": 1} for role, content in DIALOGUE]},
        {
            "instruction": "Human: 我很累\nAssistant: 怎么了？\nHuman: 工作\nAssistant:",
            "input": "",
            "output": "说说看",
        },
        {"prompt": "\n\nHuman: 我很累\n\nAssistant: 怎么了？\n\nHuman: 工作\n\nAssistant:", "completion": "说说看"},
        {
            "messages": [
                {"role": role, "content": [{"type": f"{way}_text", "text": text}]}
                for way, (role, text) in zip(("input", "output") * 2, DIALOGUE, strict=True)
            ]
        },
    ],
)
def test_forms_of_data_sets_on_the_hub(tmp_path, record):
    """Firefly; LMSYS-Chat-1M and WildChat; BELLE; HH; OpenAI's responses."""
    (tmp_path / "a.jsonl").write_text(json.dumps(record))
    [talk] = read(tmp_path / "a.jsonl")
    assert said(talk) == DIALOGUE


def test_a_talk_that_a_person_quotes_is_that_person_s_message(tmp_path):
    quoted = "Human: 我很累\nAssistant: 别说了\n他就这样回我"
    (tmp_path / "a.jsonl").write_text(json.dumps({"instruction": quoted, "output": "听起来很难受"}))
    [talk] = read(tmp_path / "a.jsonl")
    assert said(talk) == [("user", quoted), ("assistant", "听起来很难受")]


@pytest.mark.parametrize("system", ["你是", [{"type": "text", "text": "你是"}]])
@pytest.mark.parametrize("role", ["system", "developer"])
def test_a_system_text_is_typed_parts_or_the_developer_s(tmp_path, system, role):
    records = [{"system": system, "messages": CHAT}, {"messages": [{"role": role, "content": system}, *CHAT]}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, records)))
    assert [said(talk)[0] for talk in read(tmp_path / "a.jsonl")] == [("system", "你是")] * 2


def test_a_reply_that_axolotl_does_not_train_on_is_refused(tmp_path):
    chat = [message | {"training": message["role"] == "user"} for message in CHAT]
    (tmp_path / "a.jsonl").write_text(json.dumps({"messages": chat}))
    with pytest.raises(CorpusError, match="message 2 has 'training' False: weighted data"):
        list(read(tmp_path / "a.jsonl"))


def test_efaqa_joins_the_bubbles_of_one_speaker(tmp_path):
    bubbles = [("owner", "甲"), ("audience", "乙"), ("audience", "丙")]
    chats = [{"sender": sender, "value": value} for sender, value in bubbles]
    record = {"title": "题", "description": "述", "chats": chats}
    (tmp_path / "a.jsonl").write_text(json.dumps(record))
    assert said(read(tmp_path / "a.jsonl")[0]) == [("user", "题\n述\n甲"), ("assistant", "乙\n丙")]


def test_psyqa_gives_a_conversation_for_every_answer(tmp_path):
    record = {
        "question": "问",
        "description": "述",
        "keywords": "恋爱,恋爱经营",
        "questionID": 5,
        "answers": [{"answer_text": "一", "has_label": False}, {"answer_text": "二", "has_label": False}],
    }
    (tmp_path / "a.json").write_text(json.dumps([record, record | {"questionID": 6, "answers": []}]))
    found = read(tmp_path / "a.json")
    assert [(c.id, said(c)) for c in found] == [
        ("5-1", [("user", "问\n述"), ("assistant", "一")]),
        ("5-2", [("user", "问\n述"), ("assistant", "二")]),
        ("6", [("user", "问\n述")]),
    ]
    assert found[0].provenance == {"keywords": "恋爱,恋爱经营"}


def test_cpsycound_text(tmp_path):
    (tmp_path / "7.txt").write_text("来访者：我很累\r\n真的\n\n心理咨询师：怎么了？\n来访者: 工作\n")
    (conversation,) = read(tmp_path)
    assert conversation.id == "7-1"
    assert said(conversation) == [("user", "我很累\n真的"), ("assistant", "怎么了？"), ("user", "工作")]


def test_a_smilechat_folder(tmp_path):
    report = Report()
    found = read(SMILECHAT, report=report)
    assert [conversation.id for conversation in found] == ["12941", "14978", "42053"]
    source = json.loads((SMILECHAT / "12941.json").read_text())
    names = {"client": "user", "counselor": "assistant"}
    assert said(found[0]) == [(names[message["role"]], message["content"]) for message in source]
    assert (report.files, report.formats) == (3, {"smilechat": 3})


def test_a_broken_smilechat_file_is_rejected_as_a_whole(tmp_path):
    (tmp_path / "1.json").write_text('[{"role": "client", "content": "一"}, {"role": "boss", "content": "二"}]')
    with pytest.raises(CorpusError, match=r"1\.json: record 1: message 2 has the role 'boss'"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("record", "cause"),
    [
        ({"id": 1, "messages": "一"}, "the messages are text; allowed: a list"),
        ({"id": 1, "messages": ["一"]}, "message 1 is text; allowed: an object with 'role' and 'content'"),
        ({"id": 1, "messages": [{"role": "user"}]}, "message 1 lacks 'content', found ['role']"),
        (
            {"id": 1, "messages": [{"role": "user", "content": None}]},
            "message 1 has 'content' of type null; allowed: text",
        ),
        ({"messages": [{"role": "tool", "content": "一"}]}, "message 1 has the role 'tool'; allowed: user,"),
        ({"id": 1, "messages": [{"role": ["user"], "content": "一"}]}, "message 1 has the role ['user']"),
        ({"id": [1], "messages": []}, "'id' is a list; allowed: text or a whole number"),
        ({"id": True, "messages": []}, "'id' is true or false; allowed: text or a whole number"),
        ({"id": 1, "topic": 3, "messages": []}, "'topic' is a number; allowed: text"),
        (
            {"instruction": "一", "output": "二", "history": [["一"]]},
            "'history' is not a list of [user, assistant] pairs",
        ),
        ({"instruction": "一", "output": 2}, "'output' is a number; allowed: text"),
        ({"question": "一", "answers": {}}, "'answers' is an object; allowed: a list"),
        ({"conversation": [{"input": "一"}]}, "'output' is missing, found ['input']"),
        ({"text": "一"}, "no known format, found an object with the keys 'text'; known: psydt, messages"),
    ],
)
def test_what_is_wrong_with_a_record(tmp_path, record, cause):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(record))
    with pytest.raises(CorpusError) as raised:
        read(path)
    assert str(raised.value).startswith(f"{path}: record 1, line 1: {cause}")
    assert "\n" not in str(raised.value)


def test_an_array_of_something_else(tmp_path):
    (tmp_path / "a.json").write_text("[1, 2]")
    with pytest.raises(CorpusError, match=r"no known format, found a number, 1; known: psydt, messages"):
        read(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("text", "format", "cause"),
    [
        ('[{"instruction": "一", "output": "二"}, null]', None, "record 2"),
        ('{"id": 1, "messages": []}', "cpsycound", "the record is an object; allowed: the text of a file"),
    ],
)
def test_a_record_of_another_kind_is_refused_by_name(tmp_path, text, format, cause):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(CorpusError, match=cause):
        read(tmp_path / "a.json", format=format)


def test_topics_of_parquet_files_are_numbers_of_the_twelve_or_missing(tmp_path):
    messages = [{"role": "user", "content": "一"}, {"role": "assistant", "content": "二"}]
    rows = [{"id": str(topic), "topic": topic, "messages": messages} for topic in (0, -1)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    assert [conversation.topic for conversation in read(tmp_path / "a.parquet")] == ["家庭", None]
    pq.write_table(pa.Table.from_pylist([rows[0] | {"topic": 12}]), tmp_path / "a.parquet")
    with pytest.raises(CorpusError, match="topic is 12; allowed: -1 to 11 or a name"):
        read(tmp_path / "a.parquet")


def test_a_compressed_file_damaged_at_its_start_is_named_and_can_be_skipped(tmp_path):
    (tmp_path / "a.json.gz").write_bytes(b"\x1f\x8b" + b"no gzip" * 20)
    (tmp_path / "b.jsonl").write_text('{"id": 1, "messages": [{"role": "user", "content": "一"}]}')
    with pytest.raises(CorpusError, match=r"a\.json\.gz: "):
        read(tmp_path)
    report = Report()
    assert len(read(tmp_path, on_error="skip", report=report)) == 1
    assert report.rejected == 1
