"""Sending records with any task: what the ledger holds is not asked again; rewriting's own task is in test_rewrite."""

from typing import ClassVar

import pytest

from soulchatcorpus.making.ledger import Entry, Ledger
from soulchatcorpus.making.options import RequestOptions
from soulchatcorpus.making.requests import Progress, hash_content, send_all


class Echo:
    """Accepts every reply but that on record 2."""

    version = "echo-1"
    settings: ClassVar[dict] = {}

    def render(self, record: dict) -> str:
        return record["text"]

    def content_hash(self, record: dict) -> str:
        return hash_content(self.version, record["text"])

    def judge(self, entry: Entry) -> tuple[str, str | None]:
        return ("rejected", "unwanted") if entry.record_id == "2" else ("accepted", None)


def records(count: int) -> list[dict]:
    return [{"id": str(n), "text": f"记录{n}"} for n in range(1, count + 1)]


@pytest.fixture
def send(endpoint, tmp_path):
    def send(*some: dict, **more) -> Progress:
        seen: list[Progress] = []
        options = RequestOptions(base_url=endpoint.base_url, model="stub", **more)
        ledger = Ledger(tmp_path / "ledger.sqlite")
        try:
            send_all(iter(some), len(some), ledger, Echo(), options, seen.append)
        finally:
            ledger.close()
        return seen[-1]

    return send


def test_every_record_has_an_outcome_and_is_asked_once(send, endpoint):
    progress = send(*records(5), concurrency=2)
    assert (progress.done, progress.counts) == (5, {"accepted": 4, "unwanted": 1})
    send(*records(6))
    assert endpoint.asked == {str(n): 1 for n in range(1, 7)}


def test_another_content_of_the_same_id_is_asked(send, endpoint):
    send({"id": "1", "text": "记录1"})
    send({"id": "1", "text": "记录1，改过的"})
    assert endpoint.asked == {"1": 2}


def test_a_hash_tells_where_one_part_ends():
    assert hash_content("ab", "c") != hash_content("a", "bc")
    assert hash_content("ab", "c") == hash_content("ab", "c")
