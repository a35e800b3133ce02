"""A corpus in numbers: topics (the paper's Figure 3), counsellors' words (Figures 4 and 6), lengths, expressions."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path

import jieba
import numpy as np

from ..clients import TRAITS
from ..patterns import first_character_index
from ..turns import count_turns
from .records import Record, find_file, passages, read_pipeline_records

MOST_WORDS = 2_000  # kept for the word cloud
COUNTED = ("age_group", "gender", *TRAITS)  # of clients; an occupation may tell who somebody is

_WORD = re.compile(r"[\u4e00-\u9fff]{2,}|[a-z][a-z']+")
_SENTENCE_END = re.compile(r"(?<=[。！？!?；;\n])|(?<=\.)\s")


def describe(source: Path) -> dict:
    """The numbers of a corpus (or of questions with answers): counts, lengths, shares, topics, labels, people, words.

    Lengths are in characters; shares of messages are of the counsellor's.
    """
    counts: Counter[str] = Counter()
    topics: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    models: Counter[str] = Counter()
    words: Counter[str] = Counter()
    empathy: Counter[str] = Counter()
    clients: dict[str, Counter[str]] = {name: Counter() for name in ("source", *COUNTED)}
    counsellors: Counter[str] = Counter()
    lengths: dict[str, list[int]] = {"user": [], "assistant": [], "conversation": []}
    rounds: Counter[int] = Counter()
    for record in _records(source):
        said = passages(record)
        counts["conversations"] += 1
        topics[record.get("topic") or "none"] += 1
        labels.update((record.get("labels") or {}).values())
        models[(record.get("provenance") or {}).get("model") or "none"] += 1
        if "client" in record:
            source = (record.get("provenance") or {}).get("client_source", "record")
            clients["source"][str(source).split()[0]] += 1
        for name, value in record.get("client", {}).items():
            if name in COUNTED:
                clients[name][value] += 1
        if "counsellor" in record:
            counsellors[record["counsellor"]] += 1
        lengths["conversation"].append(sum(len(text) for _, text in said))
        replies = _replies(record)
        rounds[replies] += 1
        counts["turns"] += replies
        for role, text in said:
            counts["messages"] += 1
            lengths[role].append(len(text))
            if role == "assistant":
                counts["questions"] += "？" in text or "?" in text
                lowered = text.lower()
                kinds = _empathy_in(lowered)
                counts["empathy"] += bool(kinds)
                empathy.update(kinds)
                words.update(_words(lowered))
    if not counts["conversations"]:
        raise ValueError(f"{source}: no record to describe")
    replies = max(1, len(lengths["assistant"]))
    return {
        "conversations": counts["conversations"],
        "turns": counts["turns"],
        "messages": counts["messages"],
        "topics": dict(topics.most_common()),
        "labels": dict(labels.most_common()),
        "models": dict(models.most_common()),
        "clients": {name: dict(found.most_common()) for name, found in clients.items() if found},
        "counsellors": dict(counsellors.most_common()),
        "rounds": {str(number): rounds[number] for number in sorted(rounds)},
        "characters": {name: _summary(values) for name, values in lengths.items()},
        "share_questions": counts["questions"] / replies,
        "share_empathy": counts["empathy"] / replies,
        "empathy": {kind: empathy[kind] / replies for kind in _load_expressions("empathy")[2]},
        "words": dict(words.most_common(MOST_WORDS)),
    }


def compare(one: dict, other: dict) -> dict[str, dict[str, float]]:
    """Two descriptions side by side: the numbers that mean the same whatever the size."""
    this, that = _comparable(one), _comparable(other)
    return {name: {"this": number, "other": that[name]} for name, number in this.items()}


def _comparable(found: dict) -> dict[str, float]:
    return {
        "turns per conversation": found["turns"] / found["conversations"],
        "characters per user message": found["characters"]["user"].get("mean", 0.0),
        "characters per counsellor message": found["characters"]["assistant"].get("mean", 0.0),
        "share with a question": found["share_questions"],
        "share with empathy": found["share_empathy"],
        **{f"share with {kind}": share for kind, share in found["empathy"].items()},
        "share with a crisis label": sum(found["labels"].values()) / found["conversations"],
    }


def read_replies(source: Path) -> Iterator[list[str]]:
    """What the counsellor says in each record of a corpus that says something."""
    for record in _records(source):
        if replies := [text for role, text in passages(record) if role == "assistant"]:
            yield replies


def is_empathy_then_advice(reply: str) -> bool:
    """Whether a sentence with empathy stands before one that advises: the form of reply that its readers tire of."""
    felt = False
    for sentence in _SENTENCE_END.split(reply.lower()):
        if felt and _load_expressions("advice")[0].search(sentence):
            return True
        felt = felt or bool(_empathy_in(sentence))
    return False


def _records(source: Path) -> Iterator[Record]:
    return read_pipeline_records(find_file(source), "relabel")


def _replies(record: Record) -> int:
    return count_turns(record["messages"]) if "messages" in record else 1


def _summary(values: list[int]) -> dict[str, float]:
    if not values:
        return {"count": 0}
    array = np.asarray(values)
    middle, most = np.percentile(array, [50, 99])
    return {"count": len(values), "mean": float(array.mean()), "median": float(middle), "p99": float(most)}


def _words(text: str) -> Iterator[str]:
    """Words of two characters or more, without stop words."""
    stop_words = _load_stop_words()
    for run in _WORD.findall(text):
        words = jieba.cut(run) if run[0] > "\u2e80" else (run,)
        yield from (word for word in words if len(word) > 1 and word not in stop_words)


def _empathy_in(text: str) -> set[str]:
    """The kinds of empathy expressed in a lower-case text."""
    pattern, index, kinds = _load_expressions("empathy")
    return {kinds[index[(match.lastindex or 0) - 1]] for match in pattern.finditer(text)}


@cache
def _load_stop_words() -> frozenset[str]:
    """Words that say nothing of what a conversation is about."""
    return frozenset(files("soulchatcorpus.making").joinpath("stop_words.txt").read_text(encoding="utf-8").split())


@cache
def _load_expressions(of: str) -> tuple[re.Pattern[str], list[int], list[str]]:
    text = files("soulchatcorpus.making").joinpath("expressions.toml").read_text(encoding="utf-8")
    groups = tomllib.loads(text)[of]
    pattern, index = first_character_index(list(groups.values()))
    return pattern, index, list(groups)
