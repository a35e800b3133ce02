"""predictions.jsonl: what a system replied to the test turns, for cards, tables and ratings."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from pydantic import BaseModel, ValidationError

from soulchatcorpus.files import write_lines
from soulchatcorpus.schema import Message

from .results import in_one_line

PREDICTIONS_FILE = "predictions.jsonl"


class Prediction(BaseModel):
    """A row: the turn's id, everything said before it, the counsellor's reply and the system's."""

    id: str
    messages: list[Message]
    reference: str
    prediction: str


def write_predictions(path: Path, predictions: Iterable[Prediction]) -> None:
    """A line for each, whole or not at all."""
    write_lines(path, (row.model_dump() for row in predictions))


def read_predictions(path: Path, limit: int | None = None) -> list[Prediction]:
    """The rows of a predictions.jsonl, the first `limit` where one is given.

    Raises:
        OSError: there is no such file.
        ValueError: a line is not such a row; an id stands twice.
    """
    rows: dict[str, Prediction] = {}
    with path.open("rb") as lines:
        for number, line in enumerate(islice(lines, limit), start=1):
            try:
                row = Prediction.model_validate_json(line)
            except ValidationError as error:
                raise ValueError(f"{path}, line {number}: {in_one_line(error)}") from None
            if row.id in rows:
                raise ValueError(f"{path}, line {number}: id {row.id!r} stands there twice")
            rows[row.id] = row
    return list(rows.values())
