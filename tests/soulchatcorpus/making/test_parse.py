"""Replies of models back into conversations, or the reason why not."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulchatcorpus.making.parse import Parsed, Refused, parse_reply
from tests.paths import FIXTURES

REPLIES = FIXTURES / "making" / "replies"
FOUR = "用户：一\n心理咨询师：二\n用户：三\n心理咨询师：四\n用户：五\n心理咨询师：六\n用户：七\n心理咨询师：八"
CONTENTS = ["一", "二", "三", "四", "五", "六", "七", "八"]


def contents(text: str, **more) -> list[str]:
    parsed = parse_reply(text, **more)
    assert isinstance(parsed, Parsed), parsed
    assert [m["role"] for m in parsed.messages] == ["user", "assistant"] * (len(parsed.messages) // 2)
    return [message["content"] for message in parsed.messages]


@pytest.mark.parametrize(
    "text",
    [
        FOUR,
        FOUR.replace("：", ":"),
        FOUR.replace("：", ": "),
        FOUR.replace("\n", "\n\n"),
        FOUR.replace("\n", "\r\n"),
        FOUR.replace("用户：", "**用户**：").replace("心理咨询师：", "**心理咨询师：**"),
        FOUR.replace("用户", "求助者").replace("心理咨询师", "支持者"),
        FOUR.replace("用户", "User").replace("心理咨询师", "Psychologist").replace("：", ": "),
        FOUR.replace("用户", "Helper").replace("心理咨询师", "Supporter").replace("：", ": "),
        "好的，以下是改写后的多轮对话：\n\n" + FOUR,
        "### 改写结果\n\n" + FOUR + "\n\n注：以上对话仅供参考。",
        FOUR + "\n\n以上是改写后的多轮共情对话，希望能帮到你。",
        FOUR + "\n\n---\n希望这个改写符合要求",
        FOUR + "\n\n（对话结束）",
        "```\n" + FOUR + "\n```",
        FOUR.replace("用户：", "- 用户："),
        FOUR.replace("用户：", "1. 用户："),
        FOUR.replace("用户：", "（1）用户："),
        FOUR.replace("用户：", "第一轮：\n用户："),
        FOUR.replace("用户：", "**第1轮**\n用户："),
        FOUR.replace("用户：", "Round 1\n用户："),
        FOUR.replace("\n", " "),
        json.dumps(FOUR.split("\n"), ensure_ascii=False),
        json.dumps(FOUR.split("\n"), ensure_ascii=False, indent=1),
        "好的：\n```json\n" + json.dumps({"dialogue": FOUR.split("\n")}) + "\n```",
        json.dumps([{"role": line.split("：")[0], "content": line.split("：")[1]} for line in FOUR.split("\n")]),
        json.dumps([dict([line.split("：")]) for line in FOUR.split("\n")]),
        FOUR + "\n\n温馨提示：以上内容不能代替治疗。",
        FOUR + "\n\n**温馨提示**：以上内容不能代替治疗。",
        FOUR + "\n【注】以上为改写。",
        FOUR + "\n（完）",
        FOUR + "（完）",
        FOUR + "\n（全文完）",
        FOUR + "<|im_end|>",
        FOUR + "\n<|im_end|>\n<|endoftext|>",
        FOUR + "（完）</s>",
    ],
)
def test_forms_that_models_answer_in(text):
    assert contents(text) == CONTENTS


def test_a_message_of_several_lines():
    text = FOUR.replace("二", "二\n1、先休息\n2、再说")
    assert contents(text)[1] == "二\n1、先休息\n2、再说"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no_dialogue"),
        ("今天天气不错。", "no_dialogue"),
        ("很抱歉，我无法完成这个请求。", "refusal"),
        ("I'm sorry, but I can't assist with that.", "refusal"),
        ("I’m sorry, but this is beyond me.", "refusal"),
        ("Sorry, I can’t do that.", "refusal"),
        ("我是一个AI助手，这不合适。", "refusal"),
        (FOUR.removeprefix("用户：一\n"), "wrong_start"),
        (FOUR + "\n用户：九", "wrong_end"),
        (FOUR.replace("心理咨询师：四\n", ""), "role_confusion"),
        (FOUR.replace("四", "四 用户：我明白"), "role_confusion"),
        (FOUR.replace("四", ""), "empty_message"),
        (FOUR.removesuffix("\n用户：七\n心理咨询师：八"), "too_few_rounds"),
    ],
)
def test_named_reasons(text, reason):
    refused = parse_reply(text)
    assert isinstance(refused, Refused)
    assert refused.reason == reason


def test_the_endpoint_s_own_reasons():
    assert parse_reply(FOUR, "length").reason == "truncated"
    assert parse_reply(FOUR, "content_filter").reason == "refusal"


def test_fewest_rounds_asked_for():
    assert parse_reply(FOUR, min_rounds=5).reason == "too_few_rounds"
    assert parse_reply("用户：一\n心理咨询师：二", min_rounds=1).rounds == 1


def test_figure_7_of_the_paper_passes():
    """The paper's own example of its prompt has five rounds, not the eight that the prompt asks for."""
    parsed = parse_reply((REPLIES / "figure7.txt").read_text(encoding="utf-8"))
    assert isinstance(parsed, Parsed)
    assert parsed.rounds == 5
    assert parsed.messages[0]["content"].startswith("我谈恋爱已经两年了")
    assert parsed.messages[-1]["content"].endswith("我会一直陪伴在你身边。")


def test_figure_9_the_smile_form():
    """SMILE's example of the same question, by its supporter and seeker."""
    parsed = parse_reply((REPLIES / "figure9.txt").read_text(encoding="utf-8"))
    assert isinstance(parsed, Parsed)
    assert parsed.rounds == 5


words = st.text(alphabet="我很难过你说呢，。？ab1 ", min_size=1).map(str.strip).filter(bool)


@given(st.lists(words, min_size=8, max_size=40).filter(lambda items: len(items) % 2 == 0))
def test_whatever_is_rendered_comes_back(items):
    roles = ("用户：", "心理咨询师：")
    text = "\n".join(roles[number % 2] + item for number, item in enumerate(items))
    assert contents(text) == items


@given(st.text(alphabet="用户心理咨询师求助者：:\n*1、 我好抱歉无法", max_size=200))
def test_any_text_gets_an_answer(text):
    parsed = parse_reply(text)
    if isinstance(parsed, Parsed):
        assert parsed.rounds >= 4
        assert all(message["content"] for message in parsed.messages)


def test_a_draft_in_a_thought_is_no_part_of_the_dialogue() -> None:
    rounds = "用户：我睡不着\n心理咨询师：多久了？\n" * 5
    draft = "<think>\n用户：…\n心理咨询师：…\n</think>\n\n"
    for text in (draft + rounds, draft.removeprefix("<think>") + rounds):
        parsed = parse_reply(text)
        assert isinstance(parsed, Parsed)
        assert parsed.rounds == 5
        assert parsed.messages[0]["content"] == "我睡不着"
    assert parse_reply("<think>\n" + rounds) == Refused("truncated", "the model's thoughts did not come to an end")


QUOTED = [json.dumps(line, ensure_ascii=False) for line in FOUR.split("\n")]


@pytest.mark.parametrize(
    "text",
    [
        "以下是对话：\n[" + ", ".join(QUOTED) + "]",
        "[" + ",\n".join(QUOTED) + "]\n\n注：以上为改写。",
        "[" + ",\n".join(QUOTED) + ",]",
        ",\n".join(QUOTED),
        "\n".join(QUOTED),
        "[[" + "], [".join(f"{QUOTED[n]}, {QUOTED[n + 1]}" for n in range(0, 8, 2)) + "]]",
        "\n".join(f"| {line} |" for line in FOUR.split("\n")),
    ],
)
def test_marks_round_the_lines_are_no_part_of_what_is_said(text):
    assert contents(text) == CONTENTS


def test_marks_inside_of_a_quoted_line_are():
    text = "对话：" + ",\n".join(QUOTED).replace("二", '他说\\"好\\"，\\n我说好')
    assert contents(text)[1] == '他说"好"，\n我说好'
    refused = parse_reply("对话：" + ",\n".join(QUOTED).replace("二", '他说"好"，我说好'))
    assert isinstance(refused, Refused)
    assert refused.reason == "no_dialogue"


@pytest.mark.parametrize(
    "end",
    [
        *("<eop>", "<end_of_turn>", "<｜end▁of▁sentence｜>", "<|eot_id|>", "[gMASK]", "</s><eos>"),
        *("\n\n> 注：由AI改写", "\n※ 注：无", "\n\nEND", "\nEnd of dialogue.", "\n——完——", "\n（咨询结束）"),
        *("\n\n免责声明：本对话不构成医疗建议。", "\n提示：本次对话仅供参考", "\n本次对话共4轮。"),
        *("\n\n字数：300字", "\n\n#心理咨询 #失眠", "\n\n请问还需要我继续改写吗？"),
    ],
)
def test_more_that_stands_behind_the_last_message(end):
    assert contents(FOUR + end) == CONTENTS


@pytest.mark.parametrize(
    "words", ["注意：每天早睡。", "总结：您今天说了很多。", "希望这对您有帮助！", "提示：深呼吸", "<我>"]
)
def test_what_a_counsellor_may_say_in_a_last_line_is_kept(words):
    assert contents(f"{FOUR}\n{words}")[-1] == f"八\n{words}"


@pytest.mark.parametrize(
    "text",
    [
        FOUR + "\n" * 20_000 + "x",
        FOUR + "\n- " * 20_000 + "x",
        "\n- " * 20_000 + FOUR,
        FOUR + " " * 20_000 + "x",
        "用户" + " " * 20_000 + FOUR,
        FOUR + "\n" + "<a>" * 20_000 + "x",
        FOUR + "\n" + "#a " * 20_000 + "\nx",
        '"用户：' * 15_000,
        "```[" * 20_000,
    ],
)
def test_a_reply_that_goes_round_in_circles_is_read_at_once(text):
    started = time.process_time()
    parse_reply(text)
    assert time.process_time() - started < 2


def test_a_reply_of_a_hundred_thousand_characters_is_not_read():
    assert parse_reply(FOUR + "字" * 100_000).reason == "too_long"
