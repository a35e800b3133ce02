"""Sameness: counted by hand on a few replies, and what is planted is found."""

import math

import orjson
import pytest
from typer.testing import CliRunner

from soulchat import sameness
from soulchat.cli import app
from soulchat.sameness import (
    MEASURES,
    Reply,
    compare_sameness,
    describe_sameness,
    find_closing,
    find_opening,
    measure,
    sample_replies,
    tell_sameness,
    write_sameness,
)
from soulchatcorpus.files import write_lines

REPLIES = [
    "听起来你很难过，能说说吗？",
    "听起来你很难过。我理解你，建议你：\n1. 早睡\n2. 运动",
    "昨天怎么样，能说说吗？",
    "嗯。",
]


def numbered(texts):
    return [Reply(number, text) for number, text in enumerate(texts)]


def column(replies, name):
    return measure(numbered(replies))[:, MEASURES.index(name)].tolist()


def test_counted_by_hand():
    assert column(REPLIES, "repeated openings") == [1, 1, 0, 0]
    assert column(REPLIES, "repeated closings") == [1, 0, 1, 0]
    assert column(REPLIES, "with a list") == [0, 1, 0, 0]
    assert column(REPLIES, "empathy, then advice") == [0, 1, 0, 0]
    bits = column(REPLIES, "entropy of the first five characters")
    assert bits == [1, 1, 2, 2]
    described = describe_sameness(numbered(REPLIES), seed=0)
    assert described["measures"]["entropy of the first five characters"]["value"] == 1.5
    assert described["openings"] == {"听起来你很难过": 2}


@pytest.mark.parametrize(
    ("text", "opening", "closing"),
    [
        ("我理解，你辛苦了。", "我理解", "你辛苦了"),
        ("嗯", "嗯", "嗯"),
        ("……", "", ""),
        ("I hear you. Tell me more!", "I hear you", " Tell me more"),
        ("一" * 30, "一" * 20, "一" * 20),
    ],
)
def test_edges(text, opening, closing):
    assert (find_opening(text), find_closing(text)) == (opening, closing)


@pytest.mark.parametrize("text", ["1. 早睡", "（1）早睡", "- sleep", "首先早睡，其次运动", "第一，早睡。第二，运动。"])
def test_lists(text):
    assert column([text, "嗯"], "with a list") == [1, 0]


def test_advice_before_empathy_is_another_form():
    replies = ["建议你早睡。我理解你。", "I hear you. You could try to sleep.", "我理解你。能说说吗？"]
    assert column(replies, "empathy, then advice") == [0, 1, 0]


def write_corpus(path, replies):
    def messages(text):
        return [{"role": "user", "content": "你好"}, {"role": "assistant", "content": text}]

    write_lines(path, [{"id": str(number), "messages": messages(text)} for number, text in enumerate(replies)])
    return path


def test_a_sample_is_the_same_for_a_seed_and_fair(tmp_path):
    path = write_corpus(tmp_path / "c.jsonl", [f"回复{number}" for number in range(20)])
    assert sample_replies(path, 3, size=5) == sample_replies(path, 3, size=5)
    drawn = [reply.text for seed in range(400) for reply in sample_replies(path, seed, size=5)]
    times = [drawn.count(f"回复{number}") for number in range(20)]
    assert sum(times) == 2000
    assert max(abs(number - 100) for number in times) < 4 * math.sqrt(400 * 0.25 * 0.75)


def test_planted_sameness_is_found_and_equal_corpora_do_not_differ():
    varied = numbered([f"{chr(0x4E00 + 7 * number)}{number}怎么样？" for number in range(80)])
    canned = numbered([f"我理解你的感受。建议你早睡{number}。" for number in range(100)])
    found = compare_sameness(varied, canned, seed=0)
    assert found["replies"] == 80
    for name in ("repeated openings", "self-BLEU", "empathy, then advice"):
        assert found["measures"][name]["low"] > 0, name
    assert found["measures"]["entropy of the first five characters"]["high"] < 0
    for both in compare_sameness(varied, varied, seed=0)["measures"].values():
        assert both["difference"] == 0
        assert both["low"] <= 0 <= both["high"]


def test_replies_of_one_talk_are_drawn_together():
    """Ten talks of ten equal replies say no more than ten replies: the interval is as wide."""
    apart = numbered([f"{number}。1. 早睡" if number < 5 else f"{number}。嗯" for number in range(10)])
    together = [reply for reply in apart for _ in range(10)]
    name = "with a list"
    one, ten = (describe_sameness(replies, 0)["measures"][name] for replies in (apart, together))
    assert (one["low"], one["high"]) == (ten["low"], ten["high"])


def test_the_command_writes_and_tells(tmp_path, monkeypatch):
    monkeypatch.setattr("soulchatcorpus.making.figures.find_chinese_font", lambda: None)
    this = write_corpus(tmp_path / "this.jsonl", REPLIES)
    other = write_corpus(tmp_path / "other.jsonl", [*REPLIES[::-1], "好。"])
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["corpus", "stats", str(this), "--out", str(out), "--compare", str(other)])
    assert done.exit_code == 0, done.output
    assert "repeated openings: 0.5 (" in done.output
    assert "compared on 4 replies of each" in done.output
    written = orjson.loads((out / "sameness.json").read_bytes())
    assert list(written["measures"]) == list(sameness.MEASURES)
    assert written["compared"]["replies"] == 4


def test_one_reply_is_told_and_not_measured(tmp_path):
    one = write_corpus(tmp_path / "one.jsonl", ["嗯"])
    found = write_sameness(one, tmp_path / "out", one, 0)
    assert found == {"seed": 0, "replies": 1, "measures": {}}
    assert "not measured" in "".join(tell_sameness(found))
