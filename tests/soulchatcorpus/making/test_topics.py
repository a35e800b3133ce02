"""Topics by words, measured on labelled examples, and by a model behind an endpoint."""

import csv

import pytest

from soulchatcorpus.files import write_lines
from soulchatcorpus.making.options import RequestOptions
from soulchatcorpus.making.topics import ask_topics, find_topic_by_words
from soulchatcorpus.schema import TOPICS
from tests.paths import FIXTURES

EXAMPLES = FIXTURES / "making" / "topics.tsv"


def labelled() -> list[dict[str, str]]:
    with EXAMPLES.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def test_accuracy_on_labelled_examples():
    rows = labelled()
    assert {row["topic"] for row in rows} == set(TOPICS)
    right = [find_topic_by_words({"question": row["text"], "answer": ""}) == row["topic"] for row in rows]
    assert sum(right) / len(right) >= 0.85


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("今天天气不错", None),
        ("我得了抑郁症", "治疗"),
        ("我很抑郁", "情绪"),
        ("MY BOSS", "职场"),
    ],
)
def test_words(text, topic):
    assert find_topic_by_words({"question": text, "answer": "婆婆"}) == topic


def test_only_the_user_s_words_count():
    messages = [{"role": "user", "content": "我和婆婆不和"}, {"role": "assistant", "content": "同事领导辞职上司"}]
    assert find_topic_by_words({"messages": messages}) == "家庭"


def test_asking_a_model(endpoint, tmp_path):
    endpoint.answer = lambda content, model: "这属于“职场”主题。" if "记录0" in content else "不清楚"
    questions = [
        {"id": "0", "question": "记录0，电话13812345678", "answer": "答"},
        {"id": "1", "question": "记录1", "answer": "答"},
        {"id": "2", "question": "记录2", "answer": "答", "topic": "家庭"},
    ]
    write_lines(tmp_path / "q.jsonl", questions)
    options = RequestOptions(base_url=endpoint.base_url, model="stub")
    for _ in range(2):
        assert ask_topics(tmp_path / "q.jsonl", tmp_path / "out", options) == {"0": "职场"}
    assert endpoint.asked == {"0": 1, "1": 1}
    assert "13812345678" not in endpoint.contents[0]
