"""Slabs that are read at once, and those that are declined; that both ways agree is in test_reading."""

import orjson
import pytest

from soulchatcorpus.reading.bulk import BulkReader
from soulchatcorpus.reading.rules import Regulariser

PAIR = [{"role": "user", "content": "一"}, {"role": "assistant", "content": "二"}]


def record(id: int, messages: list[dict] = PAIR, topic: str | None = "成长") -> dict:
    return {"id": id, "topic": topic, "messages": messages}


def read(*records: dict):
    regularise = Regulariser()
    bulk = BulkReader(regularise)
    bulk.enable(record(0))
    return bulk(b"\n".join(map(orjson.dumps, records)), len(records)), regularise


NOBODY = {"client": None, "counsellor": None}


def test_regular_records_become_a_table():
    table, regularise = read(record(1), record(2, topic=None), record(3, PAIR[:1], "天气"))
    assert table.to_pylist() == [
        {"id": "1", "topic": 3, "messages": PAIR, **NOBODY},
        {"id": "2", "topic": None, "messages": PAIR, **NOBODY},
        {"id": "3", "topic": None, "messages": PAIR[:1], **NOBODY},
    ]
    assert regularise.fired == {"ends_with_user": 1, "no_counsellor": 1, "unknown_topic": 1}


def test_a_system_text_stays_and_does_not_count_as_somebody_s_words():
    system = {"role": "system", "content": "你是"}
    table, regularise = read(record(1, PAIR[:1]), record(2, [system, *PAIR]), record(3, [system, *reversed(PAIR)]))
    assert [row["messages"][0]["role"] for row in table.to_pylist()] == ["user", "system", "system"]
    assert regularise.fired == {"ends_with_user": 2, "no_counsellor": 1, "starts_with_counsellor": 1}


@pytest.mark.parametrize(
    "doubtful",
    [
        record(1, []),
        record(1, [{"role": "user", "content": ""}]),
        record(1, [{"role": "user", "content": "　"}]),
        record(1, [{"role": "system", "content": "一"}]),
        record(1, [*PAIR, {"role": "system", "content": "一"}]),
        record(1, [{"role": "system", "content": "一"}, {"role": "system", "content": "二"}, *PAIR]),
        record(1, [{"role": "system", "content": " "}, *PAIR]),
        record(1, [{"role": "tool", "content": "一"}, *PAIR]),
        record(1, [{"role": "user", "content": None}]),
        record(1, [{"role": "user", "content": "一\n用户：二"}]),
        record(1, [{"role": "user", "content": 5}]),
        record(0, PAIR) | {"more": 1},
        {"topic": "成长", "messages": PAIR},
        record(2),
    ],
    ids=str,
)
def test_any_doubt_declines_the_slab_and_counts_nothing(doubtful):
    table, regularise = read(record(2), doubtful)
    assert table is None
    assert not regularise.fired


def test_it_declines_everything_before_it_is_enabled():
    assert BulkReader(Regulariser())(orjson.dumps(record(1)), None) is None


def test_what_is_no_json_is_declined():
    bulk = BulkReader(Regulariser())
    bulk.enable(record(0))
    assert bulk(b'{"id": 1, "topic"', None) is None


def test_a_line_with_two_records_is_declined():
    bulk = BulkReader(Regulariser())
    bulk.enable(record(0))
    two = orjson.dumps(record(1)) + b" " + orjson.dumps(record(2))
    assert bulk(two, 1) is None
    assert len(bulk(two, None)) == 2
