"""The check of replies: what it finds, what it leaves, and that a stream never runs ahead of it."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulchat_trainer.talk.reply_check import HOLD, HeldStream, find_harm

FIXTURES = Path(__file__).parents[2] / "fixtures/talk"


def read_rows(name: str) -> dict[str, list[str]]:
    rows = [json.loads(line) for line in (FIXTURES / name).read_text(encoding="utf-8").splitlines()]
    return {label: [row["text"] for row in rows if row["label"] == label] for label in ("harmful", "supportive")}


@pytest.mark.parametrize(
    ("name", "found", "false_alarms"),
    [("replies.jsonl", 73, 1), ("replies_unseen.jsonl", 11, 0)],
)
def test_what_is_found_of_the_labelled_replies(name, found, false_alarms):
    """The numbers of the module's docstring; the second file was written after the rules were made."""
    rows = read_rows(name)
    assert sum(find_harm(text) is not None for text in rows["harmful"]) == found
    assert sum(find_harm(text) is not None for text in rows["supportive"]) == false_alarms


def test_span_is_the_sentence():
    text = "我听到你了。你应该去死，没有人会在乎的。保重。"
    start, end = find_harm(text)
    assert text[start:end] == "你应该去死，没有人会在乎的。"


def stream(text: str, step: int) -> list[tuple[str, bool]]:
    held = HeldStream()
    shown = [(held.feed(text[start : start + step]), held.harmful) for start in range(0, len(text), step)]
    return [*shown, (held.finish(), held.harmful)]


@given(st.text("你应该去死。，自杀不是办法 ok.?\n", max_size=80), st.integers(1, 9))
def test_stream_gives_everything_in_order(text, step):
    assert "".join(piece for piece, _ in stream(text, step)) == text


FOUND = [text for text in read_rows("replies.jsonl")["harmful"] if find_harm(text)]


@pytest.mark.parametrize("text", FOUND)
@pytest.mark.parametrize("step", [1, 4])
def test_no_harm_is_shown_before_it_is_known(text, step):
    shown = stream("我在听你说。" + text, step)
    assert shown[-1][1]
    assert find_harm("".join(piece for piece, harmful in shown if not harmful)) is None


def test_supportive_sentence_waits_for_its_end_and_raises_no_alarm():
    text = "我理解你的心情，但自杀并不是解决问题的办法。我们一起想一想。"
    shown = stream(text, 1)
    assert not any(harmful for _, harmful in shown)
    end = text.index("办法。") + 3
    assert "".join(piece for piece, _ in shown[:end]) in text[: text.index("自杀")]


def test_harmless_text_is_at_most_a_little_behind():
    text = "今天天气很好" * 20
    shown = stream(text, 1)
    assert len("".join(piece for piece, _ in shown[:-1])) == len(text) - HOLD
