"""Tables of docs/benchmarks.md, made of the numbers in result files."""

import json
from pathlib import Path
from typing import Any, NamedTuple

RESULTS = Path(__file__).resolve().parent / "results"


class Line(NamedTuple):
    """A line of a table.

    Attributes:
        what: was measured; `{}` stands for the number at `size`.
        peer: it is compared with.
        file: of results, without its ending.
        keys: the path to the number.
        unit: how it is written.
        over: the path to the number that it is divided by, if any.
        size: the path to the size that `what` tells, if any.
    """

    what: str
    peer: str
    file: str
    keys: str
    unit: str
    over: str = ""
    size: str = ""


def results_of(file: str) -> dict[str, Any]:
    """A result file."""
    return json.loads((RESULTS / f"{file}.json").read_text(encoding="utf-8"))


def read(file: str, keys: str) -> float:
    """The number at a path of keys in a result file."""
    value: Any = results_of(file)
    for key in keys.split("/"):
        value = value[key]
    return value


def written(value: float, unit: str) -> str:
    """A number as the page writes it."""
    if unit == "%":
        return f"{value:.0%}"
    if unit == "BLEU-1":
        return f"{value:.2f} {unit}"
    if unit.startswith("x"):
        return f"{value:.1f}{unit}"
    return f"{value:,.0f} {unit}".strip()


def row(line: Line) -> str:
    """A line of a table."""
    value = read(line.file, line.keys) / (read(line.file, line.over) if line.over else 1)
    what = line.what.format(f"{read(line.file, line.size):,}") if line.size else line.what
    return f"| {what} | {line.peer} | {written(value, line.unit)} |"


def comparisons(lines: list[Line]) -> str:
    """A table of comparisons."""
    return "\n".join(["", "| what | against | measured |", "| --- | --- | ---: |", *map(row, lines), ""])
