"""predictions.jsonl: what a system replied to the test turns, for cards, tables and ratings."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from pydantic import TypeAdapter, ValidationError

from soulchatcorpus import Message
from soulchatcorpus.files import write_lines
from soulchatcorpus.turns import Turn

PREDICTIONS_FILE = "predictions.jsonl"


class Prediction(TypedDict):
    """A row: the turn's id, everything said before it, the counsellor's reply and the system's."""

    id: str
    messages: list[Message]
    reference: str
    prediction: str


_ROW = TypeAdapter(Prediction)


def write_predictions(path: Path, turns: Sequence[Turn], replies: Sequence[str]) -> None:
    """A line for each turn, in their order."""
    pairs = zip(turns, replies, strict=True)
    write_lines(
        path,
        [Prediction(id=t.id, messages=t.context, reference=t.completion, prediction=reply) for t, reply in pairs],
    )


def read_predictions(path: Path) -> list[Prediction]:
    """The rows of a predictions.jsonl.

    Raises:
        OSError: there is no such file.
        ValueError: a line is not such a row; an id stands twice.
    """
    rows: dict[str, Prediction] = {}
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            row = _ROW.validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "the row"
            raise ValueError(f"{path}, line {number}: {where}: {first['msg']}") from None
        if row["id"] in rows:
            raise ValueError(f"{path}, line {number}: id {row['id']!r} stands there twice")
        rows[row["id"]] = row
    return list(rows.values())
