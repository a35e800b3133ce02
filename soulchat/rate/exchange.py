"""A rater's items for a labelling tool, and ratings that come back: a CSV, or the export of such a tool."""

from collections.abc import Callable
from pathlib import Path

import orjson
from pydantic import ValidationError

from hub_cards.results import in_one_line
from soulchatcorpus.files import check_new, working_in
from soulchatcorpus.reading.text import decode

from . import argilla, label_studio
from .sheets import read_ratings
from .study import RatingStudy
from .tasks import read_answers

# By tool the file of a rater's items, and what writes it with the others.
EXPORTS: dict[str, tuple[str, Callable[[RatingStudy, str, Path], int]]] = {
    "label-studio": (label_studio.TASKS_FILE, label_studio.export_tasks),
    "argilla": (argilla.RECORDS_FILE, argilla.export_dataset),
}
_ALLOWED = "a CSV, the JSON export of Label Studio, or records.json of Argilla with responses"


def export_tasks(study: RatingStudy, tool: str, rater: str | None, folder: Path) -> int:
    """Write a rater's items that are not rated yet as a tool loads them; returns their number.

    Args:
        tool: "label-studio" or "argilla".
        rater: whose items, in whose order.
        folder: made where it is missing; what has other names in it stays.

    Raises:
        ValueError: there is no such tool or rater, or the rater has rated all.
        OSError: the folder has such an export already, or cannot be written.
    """
    if tool not in EXPORTS:
        raise ValueError(f"to is {tool!r}; allowed: {', '.join(EXPORTS)}")
    if rater is None:
        raise ValueError(f"sheet is not given; allowed: {', '.join(r.name for r in study.raters())}")
    file, write = EXPORTS[tool]
    with working_in(folder, "soulchat rate export"):
        check_new(folder / file, "a folder without it")
        return write(study, rater, folder)


def import_ratings(study: RatingStudy, path: Path) -> int:
    """Save all ratings of a CSV (see `sheets.read_ratings`), or of an export of Label Studio or Argilla.

    Whose a rating is and of which item stands in the file, as the study's export put it there. Returns how many were
    saved.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no such file, of another study, or contradicts what is rated. Then nothing is saved.
    """
    try:
        text = decode(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is {error}") from None
    if text.lstrip().startswith(("[", "{")):
        ratings = _read_json(study, path, text)
    else:
        ratings = read_ratings(study.rubric, path, text)
    try:
        study.save_all([(*key, scores) for key, scores in ratings.items()])
    except ValueError as error:
        raise ValueError(f"{path}: {error}; nothing was imported") from None
    return len(ratings)


def _read_json(study: RatingStudy, path: Path, text: str) -> dict[tuple[str, int], dict[str, int]]:
    try:
        rows = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON ({error}); allowed: {_ALLOWED}") from None
    is_table = isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows)
    keys = set.intersection(*map(set, rows)) if is_table else set()
    forms = ((label_studio.KEYS, label_studio.read_export), (argilla.KEYS, argilla.read_records))
    read = next((read for wanted, read in forms if wanted <= keys), None)
    if read is None:
        raise ValueError(f"{path} is of another form; allowed: {_ALLOWED}")
    try:
        return read_answers(study, read(study.rubric, rows))
    except ValidationError as error:
        raise ValueError(f"{path}: {in_one_line(error)}; nothing was imported") from None
    except ValueError as error:
        raise ValueError(f"{path}, {error}; nothing was imported") from None
