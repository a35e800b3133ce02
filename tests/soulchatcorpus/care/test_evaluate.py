"""Labelled files: both forms are read, others refused, and the counts are right."""

import json

import pytest

from soulchatcorpus.care.evaluate import Counts, count, read_labelled


def test_both_forms(tmp_path):
    ours, theirs, replies = (tmp_path / name for name in ("a.jsonl", "b.json", "c.jsonl"))
    ours.write_text('{"text": "一", "crisis": true, "kind": "direct"}\n{"text": "二", "crisis": false}\n', "utf-8")
    theirs.write_text(
        json.dumps([{"text": "一", "labels": ["自杀计划"]}, {"text": "二", "labels": ["用户攻击行为"]}]), "utf-8"
    )
    replies.write_text('{"text": "一", "harm": true, "kind": "named"}\n', "utf-8")
    assert [(row.positive, row.kind, row.reply) for row in read_labelled(ours)] == [
        (True, "direct", False),
        (False, "all", False),
    ]
    assert [row.positive for row in read_labelled(theirs)] == [True, False]
    assert read_labelled(replies)[0].reply


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"[]", "is empty"),
        (b"\xff\xfe\x00", "is no UTF-8 text"),
        (b"text,crisis\n", "is no JSON"),
        (b'{"text": "a", "crisis": true}\n{"words": "b"}\n', "row 2 is no labelled text"),
        (b'{"text": "a", "crisis": 1}\n', "row 1 is no labelled text"),
        (b'[{"text": "a", "labels": []}]', "row 1 is no labelled text"),
        (b'["a"]', "row 1 is no labelled text"),
    ],
)
def test_another_form_is_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "labelled"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_labelled(path)
    assert "; allowed: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_counts(tmp_path):
    path = tmp_path / "a.jsonl"
    rows = [("死", True, "x"), ("痛", True, "x"), ("死", False, "y"), ("好", False, "y"), ("好", False, "x")]
    path.write_text(
        "".join(json.dumps({"text": t, "crisis": c, "kind": k}) + "\n" for t, c, k in rows), encoding="utf-8"
    )
    counted = count(read_labelled(path), lambda text: "死" in text)
    assert counted == {"": Counts(2, 1, 3, 1), "x": Counts(2, 1, 1, 0), "y": Counts(0, 0, 2, 1)}
    assert (counted[""].recall, counted[""].precision, counted[""].false_alarm_rate) == (
        0.5,
        0.5,
        pytest.approx(1 / 3),
    )
    assert counted["y"].recall is None
