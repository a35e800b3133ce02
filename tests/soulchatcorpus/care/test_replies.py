"""The check of replies: what it finds, how often ordinary replies raise it, and that no stream runs ahead of it."""

import json
import re

import pytest
from datasets import concatenate_datasets, load_dataset
from hypothesis import given
from hypothesis import strategies as st

import soulchatcorpus
from soulchatcorpus.care.crisis import find_crisis
from soulchatcorpus.care.replies import HOLD, HeldStream, find_self_harm
from tests.paths import FIXTURES, ROOT

TALK = FIXTURES / "talk"
SAFETY = (ROOT / "docs/safety.md").read_text(encoding="utf-8")
# Words that tell that a counsellor's reply does speak of suicide, self-harm or the worth of living.
NAMES_IT = re.compile(
    r"自[杀残虐伤尽]|自我伤害|轻生|寻死|伤害自己|想死|死亡|(?:结束|放弃)[^，。]{0,5}(?:生命|自己)|活[不下着]|了结|美工刀"
    r"|[扇咬]自己|吞下|安眠药|离开这个世界"
)


def read_rows(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (TALK / name).read_bytes().splitlines()]


def count_found(name: str, **wanted: str) -> tuple[int, int]:
    found = [bool(find_self_harm(row["text"])) for row in read_rows(name) if wanted.items() <= row.items()]
    return sum(found), len(found)


@pytest.fixture(scope="module")
def counsellor_replies() -> list[str]:
    """All of SMILECHAT's first 1,000 dialogues."""
    return concatenate_datasets(list(load_dataset(soulchatcorpus.__name__).values()))["completion"][:]


def test_harmful_replies_known_to_the_rules_are_found():
    assert count_found("replies.jsonl", label="harmful") == (310, 328)
    assert count_found("hints_dev.jsonl", label="hinted") == (114, 118)


def test_harmful_replies_that_name_the_act_and_that_nobody_foresaw():
    assert_documented("written after the rules", *count_found("replies_unseen.jsonl", label="harmful", says="named"))


def test_hints_that_nobody_foresaw():
    assert_documented("kept aside", *count_found("hints_unseen.jsonl", label="hinted"))
    assert_documented("of 30 others", *count_found("replies_unseen.jsonl", label="harmful", says="hinted"))


def test_ordinary_replies_rarely_raise_it():
    assert_documented("ordinary replies", *count_found("replies_unseen.jsonl", label="ordinary"))
    assert_documented("use the words of the hints", *count_found("hints_unseen.jsonl", label="harmless"))
    assert count_found("hints_dev.jsonl", label="harmless") == (0, 59)
    assert count_found("replies.jsonl", label="ordinary") == (3, 130)


def test_share_of_counsellors_replies_that_raise_it(counsellor_replies):
    found = [text for text in counsellor_replies if find_self_harm(text)]
    beside_it = [text for text in found if not find_crisis(text) and not NAMES_IT.search(text)]
    assert_documented("SMILECHAT's 5,607", len(found), len(counsellor_replies))
    assert_documented("speak of neither suicide", len(beside_it), len(counsellor_replies))
    assert len(beside_it) <= 0.02 * len(counsellor_replies)


def assert_documented(what: str, found: int, of: int) -> None:
    """The clause of docs/safety.md in which `what` stands has these numbers."""
    [clause] = [part for part in re.split(r"[.;:] |\.\n", SAFETY) if what in part]
    numbers = [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", clause)]
    assert {found, of} <= set(numbers), (clause, found, of)


@pytest.mark.parametrize(
    "text",
    ["自杀不是解决问题的办法。", "自殺不是辦法。", "Have you thought about ending your life?", "你可以KILL yourself"],
)
def test_speaking_of_it_counts_whatever_is_said(text):
    assert find_self_harm(text)


def test_span_is_where_it_is_said():
    text = "我聽到你了。你想自殺的時候，可以打電話。"
    [(start, end), *_] = find_self_harm(text)
    assert "自殺" in text[start:end]


def stream(text: str, step: int) -> list[tuple[str, bool]]:
    held = HeldStream()
    shown = [(held.feed(text[start : start + step]), held.speaks_of_self_harm) for start in range(0, len(text), step)]
    return [*shown, (held.finish(), held.speaks_of_self_harm)]


@given(st.text("你应该去死。，自杀不是办法 ok.?\n", max_size=80), st.integers(1, 9))
def test_stream_gives_everything_in_order(text, step):
    assert "".join(piece for piece, _ in stream(text, step)) == text


FILES = ("replies.jsonl", "replies_unseen.jsonl", "hints_dev.jsonl", "hints_unseen.jsonl")
FOUND = [row["text"] for name in FILES for row in read_rows(name)]
FOUND = [text for text in FOUND if find_self_harm(text)]


@pytest.mark.parametrize(
    "before", ["", "我在听你说。", "I am listening and I would like to hear more of what brought you here today, "]
)
@pytest.mark.parametrize(("step", "every"), [(1, 6), (7, 1)])
def test_nothing_of_it_is_shown_before_it_is_known(before, step, every):
    for text in FOUND[::every]:
        shown = stream(before + text, step)
        assert shown[-1][1], text
        early = "".join(piece for piece, known in shown if not known)
        assert len(early) <= len(before) + min(start for start, _ in find_self_harm(text)), text


def test_stream_of_counsellors_replies_agrees_with_the_whole(counsellor_replies):
    for text in counsellor_replies[::40]:
        assert stream(text, 3)[-1][1] == bool(find_self_harm(text)), text


def test_nothing_that_is_found_is_as_long_as_what_is_held_back(counsellor_replies):
    assert max(end - start for text in [*counsellor_replies, *FOUND] for start, end in find_self_harm(text)) < HOLD


@pytest.mark.parametrize(("begun", "word"), [("dead", "deadline"), ("你想跳", "你想跳槽")])
def test_word_that_only_begins_like_it_raises_nothing(begun, word):
    assert find_self_harm(begun)
    assert not any(known for _, known in stream(word + " 的事", 1))


def test_finished_sentence_goes_on_and_an_unfinished_one_waits():
    held = HeldStream()
    assert held.feed("今天天气很好。我们") == "今天天气很好。"
    text = "今天天气很好" * 20
    assert len("".join(piece for piece, _ in stream(text, 1)[:-1])) == len(text) - HOLD
