"""What two corpora share, and what does not belong into one."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from soulchatcorpus.files import working_in, write_lines
from soulchatcorpus.tools.audit import audit

LONG = "我和母亲住在一起很多年了，她总说我不懂事，昨天又为了洗碗的小事吵了一架，晚上怎么都睡不着。"


def talk(number: int | str, *said: str, system: str | None = None) -> dict[str, Any]:
    roles = ("user", "assistant")
    messages = [{"role": roles[place % 2], "content": text} for place, text in enumerate(said)]
    start = [] if system is None else [{"role": "system", "content": system}]
    return {"id": str(number), "messages": [*start, *messages]}


def write(path: Path, *talks: dict[str, Any]) -> str:
    write_lines(path, talks)
    return str(path)


def test_planted_overlaps_are_found(tmp_path: Path) -> None:
    one = write(
        tmp_path / "one.jsonl",
        talk("same", LONG, "听起来很累。"),
        talk("near", LONG.replace("昨天", "前天") + "真烦", "嗯，我在听。"),
        talk("other", "考研二战又失败了，不知道怎么面对家里人，也不想再考一年。", "你已经很努力了。"),
        talk("opening", "我叫小林，今年大三，对什么都提不起兴趣。", "从什么时候开始的？", "上学期吧", "嗯"),
    )
    other = write(
        tmp_path / "other.jsonl",
        talk("a", "　" + LONG, "听起来 很累。"),
        talk(
            "b",
            "我叫小林，今年大三，对什么都提不起兴趣。",
            "最近睡得怎么样？",
            "还行，就是没有什么胃口，早上起得晚。",
            "好",
        ),
    )
    found = audit([one, other], out=tmp_path / "out")
    shared = found["pairs"][0]["shared"]
    assert shared["opening"] == {"exact": 2, "near": 1}
    assert shared["question"] == {"exact": 1, "near": 1}
    assert shared["dialogue"]["exact"] == 1
    rows = [orjson.loads(line) for line in (tmp_path / "out" / "shared-1.jsonl").read_bytes().splitlines()]
    assert {"part": "opening", "one": "same", "other": "a", "similarity": 1.0} in rows
    near = next(row for row in rows if row["part"] == "opening" and row["one"] == "near")
    assert near["other"] == "a"
    assert 0.7 <= near["similarity"] < 1
    assert orjson.loads((tmp_path / "out" / "audit.json").read_bytes()) == found


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("speaker_inside", "我压力很大。支持者：听说你最近压力不小？"),
        ("speaker_inside", "求助者：谢谢你"),
        ("speaker_inside", "I see.\nUser: and then"),
        ("note", "祝你一切都好。\n温馨提示：以上内容仅供参考。"),
        ("note", "保重。\n（注：对话为改写）"),
        ("end_mark", "谢谢你，再见。（完）"),
        ("end_mark", "再见【对话结束】"),
        ("control_token", "好的<|im_end|>"),
        ("control_token", "<think>先共情</think>我理解你"),
        ("json_punctuation", '我明白了。"},'),
        ("json_punctuation", '{"role": "user"'),
    ],
)
def test_what_does_not_belong_into_a_message_is_found(tmp_path: Path, kind: str, content: str) -> None:
    source = write(tmp_path / "x.jsonl", talk("bad", LONG, content, "嗯", "嗯"), talk("good", LONG, "我在听。"))
    findings = audit([source])["corpora"][0]["findings"]
    assert findings[kind] == {"conversations": 1, "ids": ["bad"]}


@pytest.mark.parametrize(
    "content",
    [
        "我想跟咨询师说说话",
        "她说：“你走吧。”",
        "说完了。",
        "我在备注里写了她的名字",
        '他只回了一句"随便"。',
        "(完全不懂)他",
    ],
)
def test_ordinary_messages_are_no_finding(tmp_path: Path, content: str) -> None:
    findings = audit([write(tmp_path / "x.jsonl", talk(1, LONG, content))])["corpora"][0]["findings"]
    assert all(found["conversations"] == 0 for found in findings.values())


def test_system_texts_and_repetitions_are_counted(tmp_path: Path) -> None:
    talks = [talk(1, LONG, "嗯", system="你是咨询师"), talk(2, LONG, "嗯", system="你是咨询师"), talk(3, LONG, "好")]
    corpus = audit([write(tmp_path / "x.jsonl", *talks)])["corpora"][0]
    assert corpus["system_texts"] == {"conversations": 2, "different": 1}
    assert corpus["repeated"] == {"opening": 2, "question": 2, "dialogue": 1}


def test_a_system_text_is_no_finding_and_no_part_of_what_is_compared(tmp_path: Path) -> None:
    one = write(tmp_path / "one.jsonl", talk(1, LONG, "嗯", system="用户：和心理咨询师：轮流说话"))
    other = write(tmp_path / "other.jsonl", talk(1, LONG, "嗯"))
    found = audit([one, other])
    assert found["corpora"][0]["findings"]["speaker_inside"]["conversations"] == 0
    assert found["pairs"][0]["shared"]["dialogue"]["exact"] == 1


def test_questions_with_answers_are_compared_with_dialogues(tmp_path: Path) -> None:
    questions = tmp_path / "q.jsonl"
    write_lines(questions, [{"question": LONG, "answer": "抱抱你。"}])
    found = audit([str(questions), write(tmp_path / "x.jsonl", talk(1, LONG, "嗯"))])
    assert found["pairs"][0]["shared"]["opening"] == {"exact": 1, "near": 0}


def test_test_items_inside_a_training_set(tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", talk(1, LONG, "嗯"), talk(2, "没有关系的话，说了很多很多遍。", "嗯"))
    benchmark = tmp_path / "benchmark"
    benchmark.mkdir()
    write(benchmark / "train.jsonl", talk("t", "没有关系的话，说了很多很多遍。", "嗯"))
    write(benchmark / "test.jsonl", talk("item", LONG, "另一个回答"))
    found = audit([train], test=str(benchmark))
    assert found["pairs"][0]["conversations"] == 1
    assert found["pairs"][0]["shared"]["opening"] == {"exact": 1, "near": 0}


def test_the_embedded_sample_by_name() -> None:
    found = audit(["soulchatcorpus"], test="soulchatcorpus")
    assert found["corpora"][0]["conversations"] == 1000
    assert found["corpora"][0]["findings"]["speaker_inside"]["ids"] == ["11875"]
    assert found["pairs"][0]["shared"]["dialogue"]["exact"] == found["pairs"][0]["conversations"] < 200


def test_what_cannot_be_read_is_counted(tmp_path: Path) -> None:
    source = Path(write(tmp_path / "x.jsonl", talk(1, LONG, "嗯")))
    source.write_bytes(source.read_bytes() + b"{\n")
    assert audit([str(source)])["corpora"][0]["rejected"] == 1


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the sources are none; allowed: one corpus or more"):
        audit([])
    with pytest.raises(FileNotFoundError, match=r"no such file; allowed: a file, a folder or a name"):
        audit([str(tmp_path / "none.jsonl")])
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    with pytest.raises(ValueError, match="no conversation in"):
        audit([str(empty)])


def test_nothing_of_an_earlier_audit_stays(tmp_path: Path) -> None:
    one, other = (write(tmp_path / name, talk(1, LONG, "嗯")) for name in ("one.jsonl", "other.jsonl"))
    audit([one, other], out=tmp_path / "out")
    audit([one], out=tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["audit.json"]


def test_the_page_is_written_with_the_numbers_that_it_shows(tmp_path: Path) -> None:
    one = write(tmp_path / "one.jsonl", talk(1, LONG, "嗯"))
    audit([one], out=tmp_path / "out", render=lambda found: found["corpora"][0]["name"])
    assert (tmp_path / "out" / "audit.md").read_text() == one
    with (
        working_in(tmp_path / "out", "soulchat corpus audit"),
        pytest.raises(OSError, match=r"out is in use by soulchat corpus audit \(process \d+ on "),
    ):
        audit(["no such corpus"], out=tmp_path / "out")
