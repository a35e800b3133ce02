"""Topics for records without one: by keywords, with nothing else installed, or by asking a model."""

import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..care.privacy import mask_private
from ..schema import TOPICS
from ..sieve import RuleIndex
from .ledger import Entry, Ledger
from .options import RequestOptions
from .records import Record, find_file, passages, read_pipeline_records
from .requests import hash_content, send_all

STRONG_POINTS = 3


def find_topic_by_words(record: Record) -> str | None:
    """The topic whose words the user says most of, each word counted once; None where there is none of any."""
    return find_topics_by_words([record])[0]


def find_topics_by_words(records: Sequence[Record]) -> list[str | None]:
    """The same for each of many records."""
    index, points = _load_words()
    texts = ["\n".join(text for role, text in passages(record) if role == "user").lower() for record in records]
    return [_most(points, found) for found in index.find_in_each(texts)]


def _most(points: list[tuple[str, int]], found: list[tuple[int, re.Match[str]]]) -> str | None:
    score: Counter[str] = Counter()
    seen: set[str] = set()
    for number, match in found:
        if match[0] not in seen:
            seen.add(match[0])
            topic, value = points[number]
            score[topic] += value
    return score.most_common(1)[0][0] if score else None


@cache
def _load_words() -> tuple[RuleIndex, list[tuple[str, int]]]:
    data = tomllib.loads(files("soulchatcorpus.making").joinpath("topics.toml").read_text(encoding="utf-8"))
    points, groups = [], []
    for kind, value in (("strong", STRONG_POINTS), ("words", 1)):
        for topic in TOPICS:
            points.append((topic, value))
            groups.append(data[topic][kind])
    return RuleIndex(groups), points


def ask_topics(source: Path, out: Path, options: RequestOptions, unknown_topics: str = "refuse") -> dict[str, str]:
    """Topics of the records of `source` that have none, by the model behind an endpoint; kept in `out`/topics.sqlite.

    Returns id to topic for the records that the model gave one of the twelve.
    """
    options.check_consent("what users say")
    records = [
        record for record in read_pipeline_records(find_file(source), unknown_topics) if not record.get("topic")
    ]
    task = _TopicTask(options.send_unmasked)
    ledger = Ledger(out / "topics.sqlite")
    try:
        send_all(iter(records), len(records), ledger, task, options)
        entries = ((record["id"], ledger.find_final(record["id"], task.content_hash(record))) for record in records)
        accepted = ((name, entry) for name, entry in entries if entry and entry.status == "accepted")
        return {name: topic for name, entry in accepted if (topic := _topic_in(entry.reply or ""))}
    finally:
        ledger.close()


class _TopicTask:
    """Asks for the topic of one record, by the user's words alone."""

    def __init__(self, send_unmasked: bool) -> None:
        self._text = files("soulchatcorpus.making").joinpath("prompts/topic.txt").read_text(encoding="utf-8").strip()
        self._send_unmasked = send_unmasked
        self.settings: Mapping[str, Any] = {}
        self.version = f"topic@{sha256(self._text.encode()).hexdigest()[:8]}"

    def render(self, record: Record) -> str:
        words = "\n".join(text for role, text in passages(record) if role == "user")
        return self._text.replace("{topics}", "、".join(TOPICS)).replace(
            "{text}", words if self._send_unmasked else mask_private(words)
        )

    def content_hash(self, record: Record) -> str:
        return hash_content(self.version, *(text for _, text in passages(record)))

    def judge(self, entry: Entry) -> tuple[str, str | None]:
        return ("accepted", None) if _topic_in(entry.reply or "") else ("rejected", "no_topic")


def _topic_in(reply: str) -> str | None:
    """The one topic that a reply names; None where it names none or several."""
    named = [topic for topic in TOPICS if topic in reply]
    return named[0] if len(named) == 1 else None
