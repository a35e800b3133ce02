"""How well a check finds what people labelled: recall, precision and false alarms, in all and by kind."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..reading.json_stream import read_records

# PsySUICIDE's classes that are neither suicide nor self-harm: of no matter here, and aggression of or against others.
_HARMLESS = {"与自杀/自伤/攻击行为无关", "用户攻击行为", "他人攻击行为"}
_ALLOWED = (
    'JSON lines with "text" and "crisis" (messages) or "harm" (replies), true or false, and perhaps "kind"; '
    'or PsySUICIDE\'s array of objects with "text" and "labels"'
)


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text and whether it should be found; `kind` may be empty; `reply` where it is a counsellor's."""

    text: str
    positive: bool
    kind: str
    reply: bool


@dataclass(frozen=True, slots=True)
class Counts:
    """How many texts of each label there are, and how many of them were found."""

    positive: int
    found: int
    negative: int
    false_alarms: int

    @property
    def recall(self) -> float | None:
        """Share found of the positive texts; None where there are none."""
        return self.found / self.positive if self.positive else None

    @property
    def precision(self) -> float | None:
        """Share of positive texts among those found; None where nothing was found."""
        found = self.found + self.false_alarms
        return self.found / found if found else None

    @property
    def false_alarm_rate(self) -> float | None:
        """Share found of the negative texts; None where there are none."""
        return self.false_alarms / self.negative if self.negative else None


def read_labelled(path: Path) -> list[Labelled]:
    """Read a labelled file: JSON lines of ours, or an array in PsySUICIDE's form.

    Raises:
        OSError: it cannot be read.
        ValueError: it is broken, is empty, or has another form.
    """
    if path.exists() and not path.is_file():  # a pipe cannot be opened twice, to see whether it is compressed
        raise ValueError(f"{path} is no file; allowed: {_ALLOWED}")
    rows = list[Labelled]()
    for record in read_records(path):
        if record.problem:
            raise ValueError(f"{record.error()}; allowed: {_ALLOWED}")
        rows.append(_labelled(record.value, f"{path}, record {record.number}"))
    if not rows:
        raise ValueError(f"{path} is empty; allowed: {_ALLOWED}")
    if len({row.reply for row in rows}) > 1:
        raise ValueError(f"{path} is both of messages and of replies; allowed: one of them")
    return rows


def count(rows: Iterable[Labelled], find: Callable[[str], object]) -> dict[str, Counts]:
    """What `find` finds of the rows, in all (under "") and by kind; what it gives is true where it finds something.

    Rows without a kind are only in all.
    """
    tallies: dict[str, list[int]] = {"": [0, 0, 0, 0]}
    for row in rows:
        found = bool(find(row.text))
        for kind in dict.fromkeys(("", row.kind)):
            tally = tallies.setdefault(kind, [0, 0, 0, 0])
            tally[0 if row.positive else 2] += 1
            tally[1 if row.positive else 3] += found
    return {kind: Counts(*tally) for kind, tally in tallies.items()}


def _labelled(row: Any, where: str) -> Labelled:
    if isinstance(row, dict) and isinstance(row.get("text"), str):
        labels = row.get("labels")
        if isinstance(labels, list) and labels and all(isinstance(label, str) for label in labels):
            return Labelled(row["text"], not _HARMLESS.issuperset(labels), ", ".join(labels), reply=False)
        for name, other in (("crisis", "harm"), ("harm", "crisis")):
            if isinstance(row.get(name), bool) and other not in row:
                return Labelled(row["text"], row[name], str(row.get("kind") or ""), reply=name == "harm")
    raise ValueError(f"{where} is no labelled text; allowed: {_ALLOWED}")
