"""A corpus in numbers, counted by hand on a small one."""

import pytest

from soulchatcorpus.files import write_lines
from soulchatcorpus.making.stats import compare, describe

RECORDS = [
    {
        "id": "1",
        "topic": "情绪",
        "labels": {"crisis": "suicide"},
        "provenance": {"model": "gpt-4"},
        "messages": [
            {"role": "user", "content": "我很难过"},
            {"role": "assistant", "content": "我理解你的难过，能说说吗？"},
            {"role": "user", "content": "分手了"},
            {"role": "assistant", "content": "嗯，难过难过。"},
        ],
    },
    {
        "id": "2",
        "topic": None,
        "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Tell me more, friend!"}],
    },
]


@pytest.fixture
def source(tmp_path):
    write_lines(tmp_path / "conversations.jsonl", RECORDS)
    return tmp_path


def test_counted_by_hand(source):
    found = describe(source)
    assert (found["conversations"], found["turns"], found["messages"]) == (2, 3, 6)
    assert found["topics"] == {"情绪": 1, "none": 1}
    assert found["labels"] == {"suicide": 1}
    assert found["models"] == {"gpt-4": 1, "none": 1}
    assert found["rounds"] == {"1": 1, "2": 1}
    assert found["characters"]["user"] == {"count": 3, "mean": 3.0, "median": 3.0, "p99": pytest.approx(3.98)}
    assert found["share_questions"] == pytest.approx(1 / 3)
    assert found["share_empathy"] == pytest.approx(2 / 3)
    assert found["empathy"]["understanding"] == pytest.approx(1 / 3)
    assert found["empathy"]["listening"] == pytest.approx(1 / 3)
    assert found["words"]["难过"] == 3
    assert found["words"]["friend"] == 1
    assert "me" not in found["words"]


def test_two_corpora_side_by_side(source, tmp_path):
    write_lines(tmp_path / "other.jsonl", RECORDS[1:])
    compared = compare(describe(source), describe(tmp_path / "other.jsonl"))
    assert compared["turns per conversation"] == {"this": 1.5, "other": 1.0}
    assert compared["share with a question"] == {"this": pytest.approx(1 / 3), "other": 0.0}
    assert compared["share with a crisis label"] == {"this": 0.5, "other": 0.0}


def test_questions_can_be_described_too(tmp_path):
    write_lines(tmp_path / "q.jsonl", [{"id": 1, "question": "问", "answer": "我相信你可以做到"}])
    assert describe(tmp_path / "q.jsonl")["empathy"]["trust"] == 1.0


def test_clients_and_counsellors(tmp_path):
    stated = {"client": {"gender": "女", "openness": "high", "occupation": "护士"}, "counsellor": "lin"}
    drawn = {"client": {"openness": "low"}, "provenance": {"client_source": "drawn (low=1, seed 0)"}}
    records = [record | {"id": str(n)} | more for n, more in enumerate((stated, drawn, {})) for record in RECORDS[1:]]
    write_lines(tmp_path / "conversations.jsonl", records)
    found = describe(tmp_path)
    assert found["clients"] == {
        "source": {"record": 1, "drawn": 1},
        "gender": {"female": 1},
        "openness": {"high": 1, "low": 1},
    }
    assert found["counsellors"] == {"lin": 1}
