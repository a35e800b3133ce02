"""Pipe mode: a line for every line."""

import io
import json

import pytest

from soulchat.talk.pipe import run_pipe
from soulchat.talk.session import Talk
from soulchat_trainer.generation import Decoding


@pytest.fixture
def pipe(scripted):
    def run(script, lines: list[str], jsonl: bool) -> list:
        service, _ = scripted(script)
        output = io.StringIO()
        run_pipe(Talk(service, Decoding()), [line + "\n" for line in lines], output, jsonl)
        answers = output.getvalue().removesuffix("\n").split("\n")
        return [json.loads(answer) for answer in answers] if jsonl else answers

    return run


def test_plain_lines_are_one_talk(pipe):
    assert pipe(lambda messages: f"第{len(messages)}条\n好", ["一", "二"], False) == ["第1条 好", "第3条 好"]


@pytest.mark.parametrize(("first", "notice"), [("你好", "仅供参考"), ("hello", "for reference only")])
def test_plain_mode_gives_notice_once_beside_the_replies(pipe, capsys, first, notice):
    assert pipe("好。", [first, "嗯"], False) == ["好。", "好。"]
    [line] = capsys.readouterr().err.splitlines()
    assert notice in line


def test_every_line_break_of_unicode_within_a_reply_is_a_space(pipe):
    breaks = ["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029"]
    [answer] = pipe("好".join(["", *breaks, ""]), ["你好"], False)
    assert answer.split() == ["好"] * 10
    assert answer.splitlines() == [answer]


def test_plain_mode_puts_help_lines_before_the_reply(pipe):
    [answer] = pipe("我在听。", ["我不想活了，想自杀"], False)
    assert "12356" in answer
    assert answer.endswith(" 我在听。")
    [answer] = pipe("你应该去死。", ["你好"], False)
    assert answer.index("12356") < answer.index("去死")


def test_plain_mode_keeps_its_place_when_a_line_is_refused(pipe, capsys):
    assert pipe("好。", ["", "长" * 100_000, "你好"], False) == ["", "", "好。"]
    assert capsys.readouterr().err.count("soulchat: error: the message") == 2


def test_json_lines_have_every_field(pipe):
    calm, grave = pipe("我在听。", ['{"content": "你好"}', '{"content": "我不想活了，想自杀"}'], True)
    assert calm == {
        "reply": "我在听。",
        "finish_reason": "stop",
        "care": [],
        "notice": "回复由人工智能模型生成，仅供参考，不能代替专业的心理咨询或医疗。",
    }
    assert grave["care"][0]["cause"] == "message"
    assert grave["care"][0]["help_lines"][0]["number"] == "12356"


def test_json_line_with_messages_is_a_talk_by_itself(pipe):
    whole = {"messages": [{"role": "user", "content": "一"}, {"role": "assistant", "content": "二"}]}
    whole["messages"].append({"role": "user", "content": "三"})
    answers = pipe(
        lambda messages: str(len(messages)), ['{"content": "甲"}', json.dumps(whole), '{"content": "乙"}'], True
    )
    assert [answer["reply"] for answer in answers] == ["1", "3", "3"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("no json", "the line is not valid (Invalid JSON"),
        ("{}", "both content and messages, or neither; allowed: {"),
        ('{"content": "a", "more": 1}', "more: Extra inputs are not permitted"),
        ('{"content": ""}', "the message is empty"),
        ('{"messages": []}', "the message is empty"),
        ('{"messages": [{"role": "assistant", "content": "a"}]}', "the last message is not the user's"),
        ('{"messages": [{"role": "robot", "content": "a"}]}', "messages.0.role: Input should be"),
    ],
)
def test_bad_json_lines_get_an_error_and_the_next_goes_on(pipe, line, message):
    refused, answered = pipe("好。", [line, '{"content": "你好"}'], True)
    assert message in refused["error"]
    assert answered["reply"] == "好。"


@pytest.mark.parametrize("jsonl", [True, False])
def test_what_is_refused_brings_the_help_lines(pipe, jsonl):
    grave = "我不想活了，想自杀。" * 500
    refused, answered = pipe(
        "好。", [json.dumps({"content": line}) if jsonl else line for line in (grave, "你好")], jsonl
    )
    if jsonl:
        assert "5,000 characters" in refused["error"]
        assert refused["care"][0]["help_lines"][0]["number"] == "12356"
        assert answered["reply"] == "好。"
    else:
        assert "12356" in refused
        assert answered == "好。"


@pytest.mark.parametrize(
    "line",
    [
        "我想自杀",
        '{"content": "我想自杀", "more": 1}',
        json.dumps({"messages": [{"role": "me"}, {"content": "我想自杀"}]}),
    ],
)
def test_a_line_of_another_form_brings_the_help_lines(pipe, line):
    (refused,) = pipe("好。", [line], True)
    assert refused["care"][0]["help_lines"][0]["number"] == "12356"
