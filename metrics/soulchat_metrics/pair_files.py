"""Pairs in a file, and their scores in another: CSV, JSON lines and Parquet."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .scoring import METRIC_NAMES

COLUMNS = ("prediction", "reference")
FORMATS = (".csv", ".jsonl", ".parquet")


def read_pairs(path: Path) -> tuple[list[Any], list[Any]]:
    """Predictions and references of a file with the columns `prediction` and `reference`; see `read_columns`."""
    predictions, references = read_columns(path, COLUMNS)
    return predictions, references


def read_columns(path: Path, names: Sequence[str]) -> list[list[Any]]:
    """The named columns of a file of CSV, JSON lines or Parquet; others are passed over.

    What is no text is left to `score`, which names its row.

    Raises:
        ValueError: the file is of another kind, is not UTF-8 (CSV: nor GBK), lacks a column, has a field of more than
            131,072 characters or a quotation mark that nothing closes (CSV), a line that is no JSON object, or is no
            Parquet file.
    """
    kind = path.suffix.lower()
    if kind not in FORMATS:
        raise ValueError(f"the file is a {path.suffix or 'file without an ending'}; allowed: {', '.join(FORMATS)}")
    read = {".csv": _read_csv, ".jsonl": _read_json_lines, ".parquet": _read_parquet}[kind]
    try:
        rows = [*read(path, names)]
    except UnicodeDecodeError:
        raise ValueError("the file is not in UTF-8; allowed: UTF-8, for CSV also GBK") from None
    except csv.Error as error:
        raise ValueError(f"the file is no CSV that can be read: {error}") from None
    return [[row[name] for row in rows] for name in names]


def write_scores(path: Path, result: dict[str, Any]) -> None:
    """Scores of all pairs together, with their signature, and of each, from what `score` gave with sentence scores."""
    sentences = zip(*(result["sentence_scores"][name] for name in METRIC_NAMES), strict=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["pair", *METRIC_NAMES, "signature"])
        writer.writerow(["all", *(result[name] for name in METRIC_NAMES), result["signature"]])
        writer.writerows([number, *values, ""] for number, values in enumerate(sentences, start=1))


def _read_csv(path: Path, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("gb18030")  # as Excel saves CSV on a Chinese system
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    _check_columns(reader.fieldnames or (), names)
    yield from reader


def _read_json_lines(path: Path, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if line.isspace():
                continue
            try:
                row = json.loads(line)
            except (json.JSONDecodeError, RecursionError):
                row = None
            if not isinstance(row, dict):
                raise ValueError(f"line {number} is no JSON object; each line must be one")
            _check_columns(row, names, f"line {number}: ")
            yield row


def _read_parquet(path: Path, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
    except pyarrow.ArrowInvalid as error:
        raise ValueError(f"the file is no Parquet that can be read: {error}") from None
    _check_columns(table.column_names, names)
    yield from table.to_pylist()


def _check_columns(found: Any, names: Sequence[str], where: str = "") -> None:
    if any(name not in found for name in names):
        given = ", ".join(map(str, found)) or "nothing"
        raise ValueError(f"{where}the columns are {given:.80}; allowed: {' and '.join(names)}")
