import copy
import itertools

import pytest
from hypothesis import given

from soulchatcorpus.dialogue import keep_roles_apart, parse, render_line, render_prompt
from soulchatcorpus.reading.rules import Regulariser
from soulchatcorpus.schema import Conversation
from soulchatcorpus.turns import count_turns, split_turns
from tests.soulchatcorpus.strategies import conversations


def conversation(*lines: str) -> Conversation:
    roles = {"u": "user", "a": "assistant"}
    return Conversation("7", [{"role": roles[line[0]], "content": line[1:]} for line in lines], "情绪")


def turns(*lines: str) -> list[tuple[int, str, str]]:
    return [(turn.turn, turn.prompt, turn.completion) for turn in split_turns(conversation(*lines))]


def test_turns_are_in_the_form_of_the_paper():
    assert turns("u我很累", "a怎么了？", "u工作", "a说说看") == [
        (1, "用户：我很累\n心理咨询师：", "怎么了？"),
        (2, "用户：我很累\n心理咨询师：怎么了？\n用户：工作\n心理咨询师：", "说说看"),
    ]


def test_a_turn_knows_its_conversation():
    (turn,) = split_turns(conversation("u我很累", "a怎么了？"))
    assert (turn.id, turn.conversation_id, turn.topic) == ("7-1", "7", "情绪")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            ["u一", "u二", "a三", "a四"],
            [
                (1, "用户：一\n用户：二\n心理咨询师：", "三"),
                (2, "用户：一\n用户：二\n心理咨询师：三\n心理咨询师：", "四"),
            ],
        ),
        (["a你好", "u一", "a二"], [(1, "心理咨询师：你好\n用户：一\n心理咨询师：", "二")]),
        (["a你好", "a请说", "u一"], []),
        (["u一", "a二", "u三"], [(1, "用户：一\n心理咨询师：", "二")]),
        (["u一"], []),
    ],
    ids=["not alternating", "starts with the counsellor", "only greetings", "ends with the user", "no counsellor"],
)
def test_irregular_conversations(lines, expected):
    assert turns(*lines) == expected


def test_parse_undoes_rendering():
    assert parse("用户：我\n很累\n\n心理咨询师：怎么了：用户：？") == [
        {"role": "user", "content": "我\n很累\n"},
        {"role": "assistant", "content": "怎么了：用户：？"},
    ]


def test_the_cue_at_the_end_of_a_prompt_is_no_message():
    assert parse("用户：我很累\n心理咨询师：") == [{"role": "user", "content": "我很累"}]
    assert parse("心理咨询师：") == []


@pytest.mark.parametrize("text", ["", "你好", "\n用户：你好", "来访者：你好"])
def test_parse_refuses_what_is_no_dialogue(text):
    with pytest.raises(ValueError, match="a dialogue starts with one of"):
        parse(text)


@given(conversations())
def test_the_last_turn_parses_to_the_conversation(given_conversation):
    if not Regulariser()(given_conversation):
        return
    messages = [message for message in given_conversation.messages if message["role"] != "system"]
    assert parse(render_prompt(messages)) == messages
    ends = [place for place, message in enumerate(messages, 1) if message["role"] == "assistant"]
    samples = list(split_turns(given_conversation))
    assert len(samples) == count_turns(messages)
    if samples:
        assert parse(samples[-1].prompt + samples[-1].completion) == messages[: ends[-1]]


def test_a_system_text_stands_beside_the_prompt():
    talk = conversation("u一", "a二", "u三", "a四")
    alone = list(split_turns(talk))
    talk.messages = [{"role": "system", "content": "你是"}, *talk.messages]
    turns = list(split_turns(talk))
    assert [turn.prompt for turn in turns] == [turn.prompt for turn in alone]
    assert [turn.context[0]["content"] for turn in turns] == ["你是", "你是"]
    assert [(turn.system, turn.row()["system"]) for turn in turns] == [("你是", "你是")] * 2
    assert [turn.system for turn in alone] == [None, None]


@given(conversations())
def test_every_context_is_a_prefix_of_the_next(given_conversation):
    Regulariser()(given_conversation)
    samples = list(split_turns(given_conversation))
    for turn, later in itertools.pairwise(samples):
        assert later.prompt.startswith(turn.prompt + turn.completion + "\n")


@given(conversations(), conversations())
def test_no_sample_holds_text_of_another_conversation(first, second):
    alone = list(split_turns(copy.deepcopy(second)))
    together = [turn for conversation in (first, second) for turn in split_turns(conversation)]
    assert together[len(together) - len(alone) :] == alone


def test_another_role_is_refused() -> None:
    with pytest.raises(ValueError, match="a message has role 'system'; allowed: user, assistant"):
        render_line({"role": "system", "content": "x"})


@pytest.mark.parametrize(
    ("text", "apart"),
    [
        ("好\n心理咨询师：嗯", "好 心理咨询师：嗯"),
        ("好\n\n \u200b用户:嗯", "好 \u200b用户:嗯"),
        ("好\r⼼ 理咨询师︓嗯", "好 ⼼ 理咨询师︓嗯"),
        ("好\u2028用戶∶嗯", "好 用戶∶嗯"),
        ("用户：在开头", "用户：在开头"),
        ("好\n用户们：嗯\n\n 下一行", "好\n用户们：嗯\n\n 下一行"),
        ("我对心理咨询师：说\n心理咨询师说：", "我对心理咨询师：说\n心理咨询师说："),
    ],
)
def test_what_reads_like_a_role_starts_no_line(text, apart):
    assert keep_roles_apart(text) == apart
    assert keep_roles_apart(apart) == apart
