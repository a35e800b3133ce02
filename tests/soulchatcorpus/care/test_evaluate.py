"""Labelled files: both forms are read, others refused, and the counts are right."""

import gzip
import json
import os
from pathlib import Path

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
        (False, "", False),
    ]
    assert [row.positive for row in read_labelled(theirs)] == [True, False]
    assert read_labelled(replies)[0].reply


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"[]", "is empty"),
        (b" \n\n", "is empty"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"text,crisis\n", "broken JSON"),
        (b'{"text": "a", "crisis": true}\n{"text": "b"', "record 2, line 2: broken JSON"),
        (b'{"text": "a", "crisis": true}\n{"words": "b"}\n', "record 2 is no labelled text"),
        (b'{"text": "a", "crisis": 1}\n', "record 1 is no labelled text"),
        (b'{"text": "a", "crisis": true, "harm": false}\n', "record 1 is no labelled text"),
        (b'{"text": "a", "crisis": true}\n{"text": "a", "harm": true}\n', "both of messages and of replies"),
        (b'[{"text": "a", "labels": []}]', "record 1 is no labelled text"),
        (b'["a"]', "record 1 is no labelled text"),
        (b"[" * 200_000, "nested too deep"),
        (b'{"text": "a", "crisis": true, "kind": ' + b"[" * 3_000 + b"]" * 3_000 + b"}", "depth limit"),
        (b'{"text": "a", "crisis": true, "kind": ' + b"9" * 5_000 + b"}", "broken JSON"),
    ],
)
def test_another_form_is_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "labelled"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_labelled(path)
    assert "; allowed: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pipe_is_refused():
    reader, writer = os.pipe()
    try:
        with pytest.raises(ValueError, match="is no file; allowed: "):
            read_labelled(Path(f"/dev/fd/{reader}"))
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data.replace(b"\n", b"\n\n"),
        lambda data: data.rstrip(),
        gzip.compress,
    ],
    ids=["mark", "carriage returns", "empty lines", "no end", "compressed"],
)
def test_what_programs_make_of_lines_is_read(tmp_path, change):
    lines = [{"text": "一\u2028二\x85三\x0b", "crisis": True, "kind": "k"}, {"text": "四", "crisis": False}]
    path = tmp_path / "a.jsonl"
    path.write_bytes(change("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()))
    assert [(row.text, row.positive, row.kind) for row in read_labelled(path)] == [
        ("一\u2028二\x85三\x0b", True, "k"),
        ("四", False, ""),
    ]


def test_counts(tmp_path):
    path = tmp_path / "a.jsonl"
    rows = [
        ("死", True, "x"),
        ("痛", True, "x"),
        ("死", False, "y"),
        ("好", False, "y"),
        ("好", False, "x"),
        ("无", True, None),
    ]
    path.write_text(
        "".join(json.dumps({"text": t, "crisis": c, "kind": k}) + "\n" for t, c, k in rows), encoding="utf-8"
    )
    counted = count(read_labelled(path), lambda text: "死" in text)
    assert counted == {"": Counts(3, 1, 3, 1), "x": Counts(2, 1, 1, 0), "y": Counts(0, 0, 2, 1)}
    assert (counted[""].recall, counted[""].precision, counted[""].false_alarm_rate) == (
        pytest.approx(1 / 3),
        0.5,
        pytest.approx(1 / 3),
    )
    assert counted["y"].recall is None
