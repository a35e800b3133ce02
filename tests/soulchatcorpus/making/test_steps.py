"""Each step on documents made by hand; the pipeline that they make is in test_clean."""

import orjson
import pytest
from datatrove.data import Document

from soulchatcorpus.making.options import CleanOptions
from soulchatcorpus.making.steps import (
    ApplyRules,
    Finding,
    ReadSource,
    Topic,
    WriteParts,
    find_language,
    find_length,
    find_repetition,
)


def apply(*documents: Document, **options) -> list[Document]:
    """The documents after all rules; most are too short for the length that is the default."""
    return list(ApplyRules(CleanOptions(**{"min_characters": 0} | options)).run(iter(documents)))


def document(*contents: str, id: str = "1") -> Document:
    roles = ("user", "assistant")
    messages = [{"role": roles[n % 2], "content": content} for n, content in enumerate(contents)]
    metadata = {"record": {"id": id, "topic": None, "messages": messages}, "counts": []}
    return Document(text="\n".join(contents), id=id, metadata=metadata)


@pytest.mark.parametrize(
    ("text", "reason"), [("一二", "too_short"), ("一二三", None), ("一二三四五", None), ("一二三四五六", "too_long")]
)
def test_length_bounds_are_allowed_themselves(text, reason):
    found = find_length(document(text), CleanOptions(min_characters=3, max_characters=5))
    assert list(found) == ([Finding("length", reason)] if reason else [])


@pytest.mark.parametrize(
    ("text", "language", "is_found"),
    [
        ("我最近睡不好，OK", "zh", False),
        ("I cannot sleep", "zh", True),
        ("I cannot sleep", "en", False),
        ("我最近睡不好", "en", True),
        ("我最近睡不好 ありがとう 谢谢你们", "zh", True),
        ("", "zh", True),
    ],
)
def test_languages(text, language, is_found):
    found = find_language(document(text), CleanOptions(language=language))
    assert list(found) == [Finding("language", f"not_{language}")] * is_found


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        (("一", "二", "一", "二"), "same_messages"),
        (("我好难过。" * 100,), "same_phrases"),
        (("一", "二", "三", "四"), None),
    ],
)
def test_repetition(contents, reason):
    found = list(find_repetition(document(*contents), CleanOptions()))
    assert found == ([Finding("repetition", reason)] if reason else [])


def test_a_flag_names_passage_and_place():
    [done] = apply(document("你好", "我是人工智能，你好"), actions={"refusal": "off"})
    [flag] = done.metadata["record"]["flags"]
    assert (flag["step"], flag["reason"], flag["passage"], flag["start"], flag["end"]) == ("special", "我是", 1, 0, 2)
    assert "dropped" not in done.metadata


def test_what_is_dropped_flows_on_and_is_looked_at_no_more():
    done = apply(document("一", id="1"), document("一", id="2"), document("一二三四", id="3"), min_characters=2)
    assert [d.metadata.get("dropped") for d in done] == [("length", "too_short"), ("length", "too_short"), None]
    assert [d.metadata["counts"] for d in done] == [[("length", "too_short", "drop")]] * 2 + [[]]


def test_the_first_of_equal_texts_stays():
    done = apply(document("一", id="1"), document("一", id="2"), document("二", id="3"))
    assert [d.metadata.get("dropped") for d in done] == [None, ("exact_duplicate", "same_text"), None]


def test_masks_stand_in_record_and_text():
    [done] = apply(document("我的手机是13812345678", "好的"))
    masked = done.metadata["record"]["messages"][0]["content"]
    assert "13812345678" not in masked
    assert done.text == f"{masked}\n好的"
    assert [reason for _, reason, _ in done.metadata["counts"]] == ["phone"]


@pytest.mark.parametrize("action", ["mask", "flag", "drop", "off"])
def test_private_details_in_what_is_stated_of_the_client(action):
    told = document("我最近总是很累很累很累，怎么办呢", "先说说是从什么时候开始的吧")
    stated = {"gender": "female", "occupation": "在人民医院", "about": "手机13912345678"}
    told.metadata["record"]["client"] = dict(stated)
    [done] = apply(told, actions={"privacy": action})
    client = done.metadata["record"]["client"]
    assert client == stated | ({"about": "手机[phone]"} if action == "mask" else {})
    assert done.metadata["counts"] == ([] if action == "off" else [("privacy", "phone", action)])
    assert ("dropped" in done.metadata) == (action == "drop")
    flags = done.metadata["record"].get("flags", [])
    assert flags == ([{"step": "privacy", "reason": "phone"}] if action == "flag" else [])


def test_crisis_labels_the_record():
    [done] = apply(document("我不想活了", "我在听"))
    assert done.metadata["record"]["labels"]["crisis"]
    assert "flags" not in done.metadata["record"]


def test_topics_by_the_model_before_those_by_words():
    documents = [document("我失恋了，男朋友和我分手了", id="1"), document("我失恋了", id="2")]
    done = list(Topic({"2": "情绪"}).run(iter(documents)))
    assert [d.metadata["record"]["topic"] for d in done] == ["婚恋", "情绪"]
    assert [d.metadata["counts"][0][2] for d in done] == ["words", "model"]


def test_equal_texts_go_to_one_task(tmp_path):
    records = [
        {"id": str(n), "messages": document(f"第{n % 5}句", "嗯").metadata["record"]["messages"]} for n in range(20)
    ]
    path = tmp_path / "conversations.jsonl"
    path.write_bytes(b"\n".join(map(orjson.dumps, records)))
    shares = [list(ReadSource(path, "refuse").run(rank=rank, world_size=3)) for rank in range(3)]
    assert sorted(int(d.id) for share in shares for d in share) == list(range(20))
    texts = [{d.text for d in share} for share in shares]
    assert sum(map(len, texts)) == len(set.union(*texts)) == 5


def test_parts_hold_kept_dropped_and_counts(tmp_path):
    kept, dropped = document("一", id="1"), document("二", id="2")
    dropped.metadata |= {"dropped": ("length", "too_short"), "counts": [("length", "too_short", "drop")]}
    list(WriteParts(tmp_path).run(iter([kept, dropped]), rank=1))
    assert orjson.loads((tmp_path / "kept-00001.jsonl").read_bytes())["id"] == "1"
    line = orjson.loads((tmp_path / "dropped-00001.jsonl").read_bytes())
    assert (line["id"], line["step"], line["reason"]) == ("2", "length", "too_short")
    assert orjson.loads((tmp_path / "counts-00001.json").read_bytes()) == [["length", "too_short", "drop", 1]]
