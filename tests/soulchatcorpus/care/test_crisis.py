"""The crisis label: held to its measured precision and recall, on sentences written before the rules."""

import csv
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulchatcorpus.care.crisis import CATEGORIES, find_crisis
from tests.paths import FIXTURES

SENTENCES = FIXTURES / "making"


def read_sentences(name: str) -> list[dict[str, str]]:
    with (SENTENCES / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def precision_and_recall(rows: list[dict[str, str]]) -> tuple[float, float]:
    found = [row["label"] for row in rows if find_crisis(row["text"])]
    return found.count("1") / len(found), found.count("1") / sum(row["label"] == "1" for row in rows)


def test_at_least_400_sentences_of_every_kind():
    rows = read_sentences("crisis_test.tsv") + read_sentences("crisis_tune.tsv")
    assert len({row["text"] for row in rows}) == len(rows) >= 400
    kinds = {row["kind"] for row in read_sentences("crisis_test.tsv")}
    assert kinds >= {
        "direct",
        "indirect",
        "negation",
        "other_person",
        "past",
        "quotation",
        "idiom",
        "traditional",
        "english",
    }


@pytest.mark.parametrize("half", ["crisis_test.tsv", "crisis_tune.tsv"])
def test_precision_and_recall(half):
    precision, recall = precision_and_recall(read_sentences(half))
    assert recall >= 0.95
    assert precision >= 0.80


@pytest.mark.parametrize(
    ("text", "category", "marked"),
    [
        ("我想自杀。", "suicide", ["想自杀"]),
        ("我想自殺。", "suicide", ["想自殺"]),
        ("活着没意思", "death_wish", ["活着没意思"]),
        ("我又割自己了", "self_harm", ["割自己"]),
        ("室友说她不想活了", "other_person", ["不想活了"]),
        ("我妈妈吞药自杀", "other_person", ["吞药", "自杀"]),
        ("他叫我去死", "incitement", ["去死"]),
        ("你可以先买安眠药，你可以割腕", "incitement", ["割腕"]),
        ("I Want To Kill Myself", "suicide", ["Kill Myself"]),
        ("I don’t want to live", "death_wish", ["don’t want to live"]),
    ],
)
def test_category_and_spans(text, category, marked):
    finding = find_crisis(text)
    assert finding is not None
    assert finding.category == category
    assert [text[start:end] for start, end in finding.spans] == marked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "你好",
        "我没有想过自杀",
        "笑死我了",
        "自杀率上升了",
        "《我不想活了》是一首歌",
        "I never tried to kill myself",
        "规划自己的人生",
    ],
)
def test_nothing_found(text):
    assert find_crisis(text) is None


def test_a_denial_does_not_hide_what_follows():
    finding = find_crisis("我没有自残过。但是我想死。")
    assert finding is not None
    assert finding.spans == [(10, 12)]


@given(st.text(alphabet="我你他不没想要死活杀自割醒了去吧的，。\nkillmysef İ", max_size=60))
def test_spans_lie_in_the_text_in_order(text):
    finding = find_crisis(text)
    if finding is not None:
        assert finding.category in CATEGORIES
        flat = [position for span in finding.spans for position in span]
        assert flat == sorted(flat)
        assert 0 <= flat[0] < flat[-1] <= len(text)


def test_needs_no_extra():
    code = (
        "import soulchatcorpus.care.crisis, sys; "
        "assert not {'datatrove', 'openai', 'gradio', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
