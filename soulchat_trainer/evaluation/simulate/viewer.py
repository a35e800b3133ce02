"""Talks side by side in one HTML file that loads nothing and runs no script."""

from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from jinja2 import Environment

from soulchatcorpus.files import write_text

from .measures import TalkRecord

T = TypeVar("T")
SIDE_BY_SIDE = 5  # talks in a row
MOST_GROUPS = 200  # rows in a page, which a browser still opens at once


def write_page(path: Path, talks: Mapping[str, Sequence[TalkRecord]], verdict: str) -> None:
    """Write a page of talks: those of several systems with the same client in a row, those of one five in a row.

    Args:
        talks: by system.
        verdict: what stands before them.
    """
    template = Environment(autoescape=True).from_string(
        files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    )
    groups = list(_group(talks))
    shown = f"{verdict} ({MOST_GROUPS} of {len(groups)} rows are shown)" if len(groups) > MOST_GROUPS else verdict
    write_text(path, template.render(groups=groups[:MOST_GROUPS], verdict=shown))


def _group(talks: Mapping[str, Sequence[TalkRecord]]) -> Iterator[dict[str, Any]]:
    if len(talks) == 1:
        [records] = talks.values()
        for row in _rows(records):
            names = ", ".join(record["id"] for record in row)
            yield {"title": names, "talks": [_show(record["id"], record) for record in row]}
        return
    by_system = {name: {record["id"]: record for record in records} for name, records in talks.items()}
    for talk_id in dict.fromkeys(record["id"] for records in talks.values() for record in records):
        found = [(name, records[talk_id]) for name, records in by_system.items() if talk_id in records]
        for part in _rows(found):
            yield {"title": talk_id, "talks": [_show(name, record) for name, record in part]}


def _rows(values: Sequence[T]) -> Iterator[Sequence[T]]:
    return (values[start : start + SIDE_BY_SIDE] for start in range(0, len(values), SIDE_BY_SIDE))


def _show(title: str, record: TalkRecord) -> dict[str, Any]:
    """A talk with what the client kept to itself beside its words."""
    provenance = record["provenance"]
    thoughts = iter(provenance.get("client_thoughts") or [])
    emotions = iter((provenance.get("emotions") or [])[1:])
    messages = []
    for message in record["messages"]:
        aside = ""
        if message["role"] == "user" and provenance.get("emotions"):
            aside = f"情绪 {next(emotions)} · 没有说出口：{next(thoughts)}"
        messages.append({**message, "aside": aside})
    about = f"{record['topic'] or ''} · {provenance['counsellor']['name']} · {provenance['stop']}"
    return {"title": title, "about": about, "messages": messages}
