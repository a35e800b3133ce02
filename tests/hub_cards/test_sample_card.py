"""The embedded sample's card tells the truth about it, and is fit for the Hub."""

import re
from collections import Counter

import pyarrow.parquet as pq

from hub_cards.check import check_folder
from soulchatcorpus.care.privacy import find_private
from tests.paths import ROOT

SAMPLE = ROOT / "soulchatcorpus"


def test_the_linter_finds_nothing() -> None:
    assert [str(finding) for finding in check_folder(SAMPLE)] == []


def test_what_the_privacy_rules_find_is_what_the_card_says() -> None:
    texts = [
        message["content"]
        for path in sorted((SAMPLE / "data").glob("conversations-*.parquet"))
        for messages in pq.read_table(path, columns=["messages"])["messages"].to_pylist()
        for message in messages
    ]
    card = " ".join((SAMPLE / "README.md").read_text(encoding="utf-8").split())
    assert int(re.search(r"run over its ([\d,]+) messages", card)[1].replace(",", "")) == len(texts)
    assert "They flag 9 spans: the name of one person who introduces herself" in card
    assert Counter(span.kind for text in texts for span in find_private(text)) == {
        "name": 7,
        "organisation": 1,
        "handle": 1,
    }


def test_the_card_says_where_it_is_from_and_whom_to_ask() -> None:
    card = " ".join((SAMPLE / "README.md").read_text(encoding="utf-8").split())
    for words in (
        "ChatGPT wrote them",
        "license: cc0-1.0",
        "research agreement",
        "not the SoulChat release",
        "removed",
    ):
        assert words in card
    assert "real counselling sessions" not in card
