import json

import pytest

from soulchatcorpus.reading.corpus import Report, read_corpus
from soulchatcorpus.reading.json_stream import CorpusError

DIALOGUE = [("user", "我很累"), ("assistant", "怎么了？"), ("user", "工作"), ("assistant", "说说看")]
CHAT = [{"role": role, "content": content} for role, content in DIALOGUE]
SPOKEN = ["用户：我很累", "心理咨询师：怎么了？", "用户：工作", "心理咨询师：说说看"]


def said(path) -> list[list[tuple[str, str]]]:
    return [[(message["role"], message["content"]) for message in talk.messages] for talk in read_corpus(path)]


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("messages", {"messages": CHAT}),
        ("null_fields", {"id": None, "topic": None, "messages": CHAT, "weight": None, "system": None, "chosen": None}),
        ("topic_as_list", {"messages": CHAT, "topic": ["情绪", "家庭"]}),
        ("chatglm3", {"conversations": CHAT}),
        ("lines", {"messages": SPOKEN}),
        ("array", CHAT),
        ("array_of_lines", SPOKEN),
        ("trl", {"prompt": CHAT[:3], "completion": CHAT[3:]}),
        ("weights", {"messages": [message | {"weight": 1} for message in CHAT]}),
        ("parts", {"messages": [m | {"content": [{"type": "text", "text": m["content"]}]} for m in CHAT]}),
    ],
)
@pytest.mark.parametrize("form", ["line", "two_lines", "indented", "one_file"])
def test_the_same_dialogue_in_every_form(tmp_path, name, record, form):
    texts = {
        "line": json.dumps(record, ensure_ascii=False) + "\n",
        "two_lines": f"{json.dumps(record)}\n{json.dumps(record)}\n",
        "indented": json.dumps(record, ensure_ascii=False, indent=2),
        "one_file": json.dumps(record if type(record) is list else [record]),
    }
    (tmp_path / "a.json").write_text(texts[form])
    assert said(tmp_path / "a.json") == [DIALOGUE] * (2 if form == "two_lines" else 1)


def test_indented_objects_one_after_the_other(tmp_path):
    records = [{"id": number, "messages": CHAT} for number in range(300)]
    (tmp_path / "a.json").write_text("\n".join(json.dumps(record, indent=2) for record in records))
    assert [talk.id for talk in read_corpus(tmp_path / "a.json")] == [str(number) for number in range(300)]
    (tmp_path / "a.json").write_text("\n".join(json.dumps(record, indent=2) for record in records)[:-20])
    with pytest.raises(CorpusError, match=r"record 300, byte \d+: broken JSON"):
        list(read_corpus(tmp_path / "a.json"))


@pytest.mark.parametrize(
    ("user", "counsellor"),
    [
        ("来访者", "咨询师"),
        ("求助者", "支持者"),
        ("用户", "心理咨询师"),
        ("client", "counselor"),
        ("Seeker", "Supporter"),
        ("human", "gpt"),
        ("user", "assistant"),
    ],
)
@pytest.mark.parametrize("keys", [("messages", "role", "content"), ("conversations", "from", "value")])
def test_the_speakers_names_in_every_format(tmp_path, keys, user, counsellor):
    names = {"user": user, "assistant": counsellor}
    rows = [{keys[1]: names[role], keys[2]: content} for role, content in DIALOGUE]
    (tmp_path / "a.jsonl").write_text(json.dumps({keys[0]: rows}))
    assert said(tmp_path / "a.jsonl") == [DIALOGUE]


def test_what_the_terminal_saves(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"messages": CHAT, "system": "你是"}, indent=2))
    assert said(tmp_path / "a.json") == [[("system", "你是"), *DIALOGUE]]


@pytest.mark.parametrize(
    ("record", "cause"),
    [
        ({"messages": [*CHAT[:3], {"role": "assistant", "content": "坏", "weight": 0}]}, "message 4 has 'weight' 0"),
        ({"messages": [*CHAT[:3], {"role": "gpt", "content": "坏", "loss": False}]}, "message 4 has 'loss' False"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "a part that is 'image'"),
        ({"messages": ["用户：一\n心理咨询师：二"]}, "message 1 holds the lines of several speakers"),
        ({"conversation_id": "1", "prompt": "用户：一\n心理咨询师：", "completion": "二"}, "a row of config turns"),
    ],
)
def test_what_is_refused(tmp_path, record, cause):
    (tmp_path / "a.jsonl").write_text(json.dumps(record))
    with pytest.raises(CorpusError, match=cause):
        said(tmp_path / "a.jsonl")


def test_texts_as_prompt_and_completion(tmp_path):
    rendered = {"prompt": "用户：我很累\n心理咨询师：怎么了？\n用户：工作\n心理咨询师：", "completion": "说说看"}
    (tmp_path / "a.jsonl").write_text(json.dumps(rendered))
    assert said(tmp_path / "a.jsonl") == [DIALOGUE]
    (tmp_path / "a.jsonl").write_text(json.dumps({"prompt": "我很累", "completion": "怎么了？"}))
    assert said(tmp_path / "a.jsonl") == [DIALOGUE[:2]]


def test_sages_talks_and_what_its_players_state(tmp_path):
    player = "* 姓名：王\n* 年龄：41岁\n* 性别：男性\n* 职业：司机"
    record = {"id": "s", "player": player, "scene": "吵架", "history": CHAT, "topic": "职场"}
    (tmp_path / "sage.jsonl").write_text(json.dumps(record))
    report = Report()
    (conversation,) = read_corpus(tmp_path / "sage.jsonl", report=report)
    assert report.formats == {"sage": 1}
    assert conversation.client == {"age_group": "36-45", "gender": "male", "occupation": "司机"}
    assert [message["content"] for message in conversation.messages] == [message["content"] for message in CHAT]


def test_traits_of_psydt_beside_the_messages(tmp_path):
    record = {"messages": CHAT, "normalizedTag": "情绪", "big_five": {"开放性": "高", "neuroticism": "low"}}
    (tmp_path / "psydt.jsonl").write_text(json.dumps(record | {"client": {"gender": "女"}, "counsellor": "lin"}))
    (conversation,) = read_corpus(tmp_path / "psydt.jsonl")
    assert conversation.client == {"gender": "female", "openness": "high", "neuroticism": "low"}
    assert conversation.counsellor == "lin"
