"""Ratings as CSV: out of a study, for raters without the page, and back into it.

What is written opens in a spreadsheet as it is: in UTF-8 with a byte-order mark, texts never as formulas, each item in
one row. What comes back may be in UTF-8, UTF-16 or GBK.
"""

import csv
import io
from pathlib import Path
from typing import Any

from soulchat_trainer.evaluation.rubric import Rubric
from soulchatcorpus.files import check_new, making, write_text
from soulchatcorpus.reading.text import decode

from .study import RatingStudy
from .tasks import TEXTS, list_texts

FORMULAS = ("=", "+", "-", "@", "\t", "\n", "＝", "＋", "－", "＠")  # what begins one in Excel, LibreOffice or WPS

_INSTEAD = "a new file, since a sheet is filled in by people"


def export_ratings(study: RatingStudy, path: Path, overwrite: bool = False) -> int:
    """Write all ratings as their raters gave them, a line each; returns their number.

    Args:
        overwrite: an earlier file of the study's ratings may be replaced; nothing else is, least of all a sheet.

    Raises:
        OSError: the file is there already, or cannot be written.
    """
    given = [(rater.name, item) for rater in study.raters() for item in study.items(rater.name) if item.scores]
    given.sort(key=lambda row: (row[0], row[1].number))
    lines = [[rater, item.number, *(item.scores or {}).values()] for rater, item in given]
    with making(path, "soulchat rate export"):
        if not (overwrite and path.is_file()):
            check_new(path, _INSTEAD)
        elif not _holds_only(study.rubric, path, {(rater, item.number) for rater, item in given}):
            raise FileExistsError(f"{path} is no earlier file of the study's ratings; allowed: {_INSTEAD}")
        _write(path, _columns(study.rubric), lines)
    return len(given)


def _holds_only(rubric: Rubric, path: Path, known: set[tuple[str, int]]) -> bool:
    """Whether a file has the columns of `export_ratings` and no rating of another rater and item than these."""
    try:
        text = decode(path.read_bytes())
        columns = next(csv.reader(io.StringIO(text, newline="")), [])
        return columns == list(_columns(rubric)) and read_ratings(rubric, path, text).keys() <= known
    except (ValueError, csv.Error):
        return False


def export_sheet(study: RatingStudy, rater: str, path: Path) -> int:
    """Write one rater's items in their order, with the texts and the scores so far, to be filled in by hand.

    The file begins with a byte-order mark: without it Excel takes its Chinese for another encoding.

    Raises:
        ValueError: there is no such rater.
        OSError: the file is there already, or cannot be written.
    """
    items, rubric = study.items(rater), study.rubric
    blank = dict.fromkeys(_scores(rubric), "")
    lines = [
        [rater, item.number, *(item.scores or blank).values(), *list_texts(rubric, item).values()] for item in items
    ]
    with making(path, "soulchat rate export"):
        check_new(path, _INSTEAD)
        _write(path, (*_columns(rubric), *TEXTS[rubric.judged]), lines, start="\ufeff")
    return len(items)


def _scores(rubric: Rubric) -> tuple[str, ...]:
    return tuple(aspect.name for aspect in rubric.aspects)


def _columns(rubric: Rubric) -> tuple[str, ...]:
    return ("rater", "item", *_scores(rubric))


def read_ratings(rubric: Rubric, path: Path, text: str) -> dict[tuple[str, int], dict[str, int]]:
    """The scores by rater and item of a CSV.

    It has the columns rater, item, and one for each aspect of the rubric, and may have others. Lines without any score
    are not rated yet and are left out.

    Args:
        path: the file, for messages.
        text: what it holds.

    Raises:
        ValueError: it is no such CSV; names the line.
    """
    columns, names = _columns(rubric), _scores(rubric)
    try:
        lines = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        heading = lines.fieldnames or ()
        if missing := [column for column in columns if column not in heading]:
            raise ValueError(f"{path} lacks the column {', '.join(missing)}; allowed: a CSV with {', '.join(columns)}")
        if twice := [column for column in columns if heading.count(column) > 1]:
            raise ValueError(f"{path} has the column {', '.join(twice)} twice; allowed: once")
        rows = [(lines.line_num, row) for row in lines]
    except csv.Error as error:
        raise ValueError(f"{path} is no CSV file ({error}); allowed: a CSV with {', '.join(columns)}") from None
    has_texts = len(heading) > len(columns)  # which no spreadsheet leaves out as it may empty cells at a line's end
    ratings: dict[tuple[str, int], dict[str, int]] = {}
    for number, row in rows:
        is_cut = has_texts and any(row[column] is None for column in columns)
        if is_cut or None in row:
            found = "too few cells" if is_cut else "too many cells"
            raise ValueError(f"{path}, line {number} has {found}; allowed: one for each column")
        if not any((row[column] or "").strip() for column in names):
            continue
        try:
            item, *scores = (int(row[column] or "") for column in columns[1:])
        except ValueError:
            found = ", ".join(f"{column} {row[column]!r}" for column in columns[1:])
            raise ValueError(f"{path}, line {number}: {found}; allowed: whole numbers") from None
        rater = _typed(row["rater"])
        if (rater, item) in ratings:
            raise ValueError(f"{path}, line {number}: {rater} rated item {item} twice; allowed: once")
        ratings[rater, item] = dict(zip(names, scores, strict=True))
    return ratings


def _write(path: Path, columns: tuple[str, ...], lines: list[list], start: str = "") -> None:
    text = io.StringIO()
    text.write(start)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_as_text(value) for value in line] for line in lines)
    write_text(path, text.getvalue())


def _as_text(value: Any) -> Any:
    """What a spreadsheet shows and does not compute: a text that it would take for a formula has an apostrophe before
    it, as a person would type it (OWASP, CSV injection)."""
    if not isinstance(value, str):
        return value
    value = "\n".join(value.split("\r\n")).replace("\r", "\n")
    return "'" + value if value.startswith(FORMULAS) else value


def _typed(value: str) -> str:
    """A name as it was before `_as_text`."""
    return value[1:] if value.startswith("'") and value[1:].startswith(FORMULAS) else value
