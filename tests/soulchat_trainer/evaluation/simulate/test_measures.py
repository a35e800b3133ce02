"""What is counted of talks: exact values of tiny ones, and the realism sheet."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from soulchat_trainer.evaluation.simulate.measures import (
    count_repeats,
    describe_client,
    describe_counsellor,
    describe_lines,
    reaction,
    share_of,
)
from soulchat_trainer.evaluation.simulate.profiles import Profile
from soulchat_trainer.evaluation.simulate.protocol import load_protocol

PLAIN = load_protocol("plain")


def talk(user: list[str], assistant: list[str], stop: str = "turns", **provenance: object) -> dict:
    messages = []
    for heard, said in zip(user, assistant, strict=True):
        messages += [{"role": "user", "content": heard}, {"role": "assistant", "content": said}]
    return {"id": "a-1", "messages": messages, "provenance": {"profile": "a", "stop": stop, **provenance}}


def test_the_counsellors_half_is_counted() -> None:
    found = describe_counsellor([talk(["我累。", "是的。"], ["怎么了？", "怎么了？"])])
    assert (found["asks"], found["repeated"], found["characters"]) == (1.0, 0.5, 4.0)
    assert found["share_of_words"] == 8 / 14
    assert describe_counsellor([talk(["我累。"], ["1. 早睡\n2. 运动"])])["advice_lists"] == 1.0


@given(st.lists(st.booleans(), min_size=1, max_size=50))
def test_an_interval_is_wilsons(flags: list[bool]) -> None:
    wanted = binomtest(sum(flags), len(flags)).proportion_ci(method="wilson")
    found = share_of(flags)
    assert found.low == pytest.approx(wanted.low, abs=1e-9)
    assert found.high == pytest.approx(wanted.high, abs=1e-9)


def test_great_sorrow_is_no_consolation() -> None:
    assert describe_lines([["我特别难过。"]])["role_drift"].value == 0
    assert describe_lines([["你别难过。"]])["role_drift"].value == 1


def test_of_no_talk_there_is_no_share() -> None:
    assert math.isnan(share_of([]).value)


@pytest.mark.parametrize(
    ("lines", "stop", "fault"),
    [
        (["我累。", "我理解你的感受，建议你早睡。"], "turns", "role_drift"),
        (["谢谢你。", "太感谢了。"], "turns", "thanks_loop"),
        (["我现在每天都睡不着觉。", "我现在每天都睡不着觉！"], "turns", "repeated_turn"),
        (["我" * 30, "他" * 30], "turns", "long_lines"),
        (["我嘛，三年前我从家里搬出来以后就一直一个人。", "嗯。"], "turns", "copied_instructions"),
        (["我累。", "再见。"], "goodbye", "early_goodbye"),
    ],
)
def test_what_clients_seldom_do_is_found_alone(lines: list[str], stop: str, fault: str) -> None:
    profile = Profile(id="a", story="三年前我从家里搬出来以后就一直一个人。")
    sheet = describe_client(
        [talk(lines, ["嗯。", "好。"], stop)], PLAIN, [profile], [["十个字的真实句子。"], ["我" * 22]]
    )
    assert {name for name, share in sheet.items() if share.value} == {fault}
    assert sheet[fault].low < 1 == sheet[fault].high


def test_a_reaction_is_the_last_emotion_or_how_much_the_client_said() -> None:
    assert reaction(talk(["我累。"], ["嗯。"], emotions=[40, 47])) == 47
    assert reaction(talk(["我累。"], ["嗯。"])) == 3


def test_repeats_are_counted_once_each() -> None:
    assert count_repeats(["嗯。", "嗯。", "嗯。", "好。"]) == 2
