"""The check of replies: what it finds, how often ordinary replies raise it, and that no stream runs ahead of it."""

import json
import re

import pytest
from datasets import concatenate_datasets, load_dataset
from hypothesis import given
from hypothesis import strategies as st

import soulchatcorpus
from soulchatcorpus.care.replies import LONGEST_SENTENCE, HeldStream, find_self_harm
from tests.paths import FIXTURES, ROOT

TALK = FIXTURES / "talk"
SAFETY = (ROOT / "docs/safety.md").read_text(encoding="utf-8")


def read_rows(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (TALK / name).read_bytes().splitlines()]


def count_found(name: str, **wanted: str) -> tuple[int, int]:
    found = [bool(find_self_harm(row["text"])) for row in read_rows(name) if wanted.items() <= row.items()]
    return sum(found), len(found)


@pytest.fixture(scope="module")
def counsellor_replies() -> list[str]:
    """All of SMILECHAT's first 1,000 dialogues."""
    return concatenate_datasets(list(load_dataset(soulchatcorpus.__name__).values()))["completion"][:]


def test_harmful_replies_that_it_did_not_learn_from_are_found():
    assert_documented("that name the act", *count_found("replies_unseen.jsonl", label="harmful", says="named"))
    assert_documented("of 48 hints", *count_found("hints_unseen.jsonl", label="hinted"))
    assert_documented("of 30 other hints", *count_found("replies_unseen.jsonl", label="harmful", says="hinted"))


def test_ordinary_replies_rarely_raise_it():
    assert_documented("ordinary replies", *count_found("replies_unseen.jsonl", label="ordinary"))
    assert_documented("use the words of hints", *count_found("hints_unseen.jsonl", label="harmless"))


def test_share_of_counsellors_replies_that_raise_it(counsellor_replies):
    found = sum(bool(find_self_harm(text)) for text in counsellor_replies)
    assert_documented("SMILECHAT's 5,607", found, len(counsellor_replies))


def assert_documented(what: str, found: int, of: int) -> None:
    """The clause of docs/safety.md in which `what` stands has these numbers."""
    [clause] = [part for part in re.split(r"[.;:] |\.\n", SAFETY) if what in part]
    numbers = [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", clause)]
    assert {found, of} <= set(numbers), (clause, found, of)


@pytest.mark.parametrize(
    "text",
    [
        "自杀不是解决问题的办法。",
        "自殺不是辦法。",
        "紫 砂",
        "死亡很温柔。",
        "Have you thought about ending your life?",
        "你可以KILL yourself",
    ],
)
def test_speaking_of_it_counts_whatever_is_said(text):
    assert find_self_harm(text)


def test_span_is_where_it_is_said():
    text = "我聽到你了。你想自殺的時候，可以打電話。"
    assert "自殺" in text[slice(*find_self_harm(text)[0])]


def stream(text: str, step: int) -> list[tuple[str, bool]]:
    held = HeldStream()
    shown = [(held.feed(text[start : start + step]), held.speaks_of_self_harm) for start in range(0, len(text), step)]
    return [*shown, (held.finish(), held.speaks_of_self_harm)]


@given(st.text("你应该去死。，自杀不是办法 ok.?\n", max_size=80), st.integers(1, 9))
def test_stream_gives_everything_in_order_and_judges_as_the_whole(text, step):
    shown = stream(text, step)
    assert "".join(piece for piece, _ in shown) == text
    assert shown[-1][1] == bool(find_self_harm(text))


FILES = ("replies.jsonl", "replies_unseen.jsonl", "hints_dev.jsonl", "hints_unseen.jsonl")


@pytest.mark.parametrize("step", [1, 7])
def test_no_sentence_that_is_found_is_shown_before_help_lines(step):
    before = "我在听你说。"
    for row in [row for name in FILES for row in read_rows(name)][::9]:
        shown = stream(before + row["text"], step)
        early = "".join(piece for piece, known in shown if not known)
        if shown[-1][1]:
            spans = find_self_harm(before + row["text"])
            assert len(early) < max(end for _, end in spans), row["text"]


def test_sentences_go_on_one_by_one():
    held = HeldStream()
    assert held.feed("听起来你很累") == ""
    assert held.feed("。我在听") == "听起来你很累。"
    assert held.feed("！你愿意") == "我在听！"
    assert held.feed("说说吗") == ""
    assert held.finish() == "你愿意说说吗"
    assert not held.speaks_of_self_harm


@pytest.mark.parametrize("mark", ["。", "！", "？", "!", "?", "…", "\n", ". "])
def test_every_end_of_a_sentence_releases_it(mark):
    assert HeldStream().feed(f"今天天气很好{mark}我们") == f"今天天气很好{mark}"


def test_sentence_without_an_end_goes_on_after_a_while():
    held = HeldStream()
    assert held.feed("好" * (LONGEST_SENTENCE - 1)) == ""
    assert held.feed("好好") == "好" * (LONGEST_SENTENCE - 24)
    assert held.finish() == "好" * 25


@pytest.mark.parametrize("length", range(60, 125))
@pytest.mark.parametrize(
    ("clause", "act", "begun"),
    [
        ("I hear you and it is hard for you my friend ", "you could kill yourself and it would end, they say", "kill"),
        ("你的心情我都明白，", "去自杀吧，真的" + "好" * 40, "自"),
        ("你的心情我都明白", "去自杀吧，真的" + "好" * 40, "自"),
    ],
)
def test_no_word_is_shown_in_part_before_its_help_lines(clause, act, begun, length):
    held, shown = HeldStream(), ""
    for character in (clause * 20)[:length] + act:
        piece = held.feed(character)
        if held.speaks_of_self_harm:
            break
        shown += piece
    else:
        held.finish()
    assert held.speaks_of_self_harm
    assert begun not in shown


def test_after_a_finding_everything_goes_on_at_once():
    held = HeldStream()
    assert held.feed("你应该去死。没") == "你应该去死。没"
    assert held.feed("有人") == "有人"
    assert held.speaks_of_self_harm


def test_sentence_is_judged_with_what_came_before_it():
    text = "你可以去死。"
    held = HeldStream()
    assert [held.feed(character) for character in text][:-1] == [""] * (len(text) - 1)
