"""Protocols: the two that ship, what a client's answer holds, and what is refused."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulchat_trainer.evaluation.simulate.profiles import Profile
from soulchat_trainer.evaluation.simulate.protocol import (
    NAMES,
    ClientTurn,
    Protocol,
    load_protocol,
    read_client,
    read_counsellor,
)

EMOTION = load_protocol("emotion")


def test_the_two_that_ship_tell_the_profile_and_emotion_has_the_numbers_of_sage() -> None:
    profile = Profile(id="a", story="三天没睡。")
    assert all("【发生的事】三天没睡。" in load_protocol(name).instruct(profile) for name in NAMES)
    assert EMOTION.emotion
    assert (EMOTION.emotion.start, EMOTION.emotion.step) == (40, 10)
    assert load_protocol("plain").emotion is None


@pytest.mark.parametrize(
    ("answer", "turn"),
    [
        ("想法：他没听懂\n情绪变化：-4\n回复：算了。", ClientTurn("算了。", -4, "他没听懂")),
        ("想法: 好\n情绪变化: ＋25（很好）\n回复: 来访者：嗯\n第二行", ClientTurn("嗯\n第二行", 10, "好")),
        ("好的。\n想法：a\n情绪变化：−99\n回复：b", ClientTurn("b", -10, "a")),
        ("我很难过。", None),
        ("想法：a\n回复：b", None),
        ("想法：a\n情绪变化：1\n回复：b\n想法：秘密\n情绪变化：2\n回复：c", None),
        ("想法：a\n情绪变化：1\n回复：b\n情绪变化：2", None),
        (f"想法：a\n情绪变化：{'9' * 5000}\n回复：b", ClientTurn("b", 10, "a")),
    ],
)
def test_a_clients_fields_are_told_apart_and_its_step_is_bounded(answer: str, turn: ClientTurn | None) -> None:
    assert read_client(EMOTION, answer) == turn


@given(st.text(), st.integers(-10, 10), st.text(min_size=1))
def test_a_thought_never_becomes_words(thought: str, change: int, words: str) -> None:
    turn = read_client(EMOTION, f"想法：秘密{thought}\n情绪变化：{change}\n回复：{words}")
    if turn and "回复" not in thought and "情绪变化" not in thought:
        assert turn.text.strip() in words
        assert turn.change == change


def test_an_answer_of_blanks_is_read_at_once() -> None:
    started = time.process_time()
    assert read_client(EMOTION, "想法：" + " " * 20_000 + "情绪变化：" + "\n" * 20_000 + "x") is None
    assert read_client(EMOTION, f"想法：{' ' * 20_000}\n情绪变化：1{' ' * 20_000}\n回复：好") is not None
    assert time.process_time() - started < 2


def test_a_speakers_name_is_no_word() -> None:
    assert read_client(load_protocol("plain"), "来访者：我累。") == ClientTurn("我累。")
    assert read_counsellor("心理咨询师: 我在。") == "我在。"


def test_the_hash_is_of_everything_but_the_rounds() -> None:
    plain = load_protocol("plain").model_dump()
    assert Protocol(**plain | {"turns": 3}).hash == Protocol(**plain).hash
    assert Protocol(**plain | {"seed": 3}).hash != Protocol(**plain).hash


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\nclient: '{profile}'", "turns is missing; allowed: a value, as there is no default"),
        ("name: a\nclient: hello\nturns: 2", "client has no {profile}"),
        ("name: a\nclient: '{profile}'\nturns: 0", "turns is 0"),
        ("name: a\nclient: '{profile}'\nturns: 2\nbegins: both", "begins is 'both'"),
        ("- a", "it is no mapping"),
        ("name: a\nclient: '{profile}'\nturns: 2\nstop: never", "'stop' is unknown; allowed: name, client"),
        ("name: a\nclient: '{profile}'\nturns: 2\ngoodbyes: ['']", "goodbyes holds ''; allowed: 1 character or more"),
        ("name: a\nclient: '{profile}'\nturns: 2\nemotion: {start: 5}", "start is 5; allowed: from low, 10, to below"),
        ("name: a\nclient: '{profile}'\nturns: 2\nemotion: true", "emotion is True; allowed: an object"),
        ("name: [a", "at line 1, column 7: name: [a ^ expected ',' or ']'"),
    ],
)
def test_what_is_no_protocol_is_told_in_a_line(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"^[^\n]+$") as raised:
        load_protocol(str(tmp_path / "p.yaml"))
    assert message in str(raised.value)


def test_a_protocol_is_there() -> None:
    with pytest.raises(FileNotFoundError, match="protocol is x; allowed: plain, emotion"):
        load_protocol("x")
