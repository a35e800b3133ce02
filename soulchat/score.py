"""`soulchat score PREDICTIONS`: the paper's seven metrics of a file of replies."""

import csv
import io
from pathlib import Path
from typing import Annotated, Any

import typer

READERS = {".jsonl": "JSON lines of objects", ".csv": "CSV in UTF-8", ".parquet": "Parquet"}


def score(
    predictions: Annotated[Path, typer.Argument(help="A .jsonl, .csv or .parquet file with a column of replies.")],
    references: Annotated[
        Path | None, typer.Option(help="Such a file with the references, in the same order; by default the same file.")
    ] = None,
    prediction_column: Annotated[str, typer.Option(help="Name of the column of replies.")] = "prediction",
    reference_column: Annotated[str, typer.Option(help="Name of the column of references.")] = "reference",
    json: Annotated[bool, typer.Option("--json", help="As JSON, with every digit.")] = False,
) -> None:
    """Score replies against references: BLEU-1 to -4, ROUGE-1, -2 and -L, with the metric's signature."""
    import orjson

    import soulchat_metrics

    given = _read_column(predictions, prediction_column)
    expected = _read_column(references or predictions, reference_column)
    if len(given) != len(expected):
        raise ValueError(
            f"{predictions} has {len(given):,} rows, {references} has {len(expected):,}; allowed: equally many"
        )
    found = soulchat_metrics.score(given, expected)
    if json:
        typer.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode())
        return
    for name in soulchat_metrics.METRIC_NAMES:
        typer.echo(f"{name:<10}{found[name]:8.2f}")
    typer.echo(f"{len(given):,} replies, {found['signature']}")


def _read_column(path: Path, column: str) -> list[str]:
    rows = _read_rows(path)
    for number, row in enumerate(rows, 1):
        if column not in row:
            raise ValueError(f"{path}: row {number} has {', '.join(map(str, row))}; allowed: one called {column}")
        if not isinstance(row[column], str):
            raise ValueError(f"{path}: row {number}: {column} is {row[column]!r}; allowed: a text")
    return [row[column] for row in rows]


def _read_rows(path: Path) -> list[dict[str, Any]]:
    import orjson
    import pyarrow.parquet

    try:
        if path.suffix == ".parquet":
            return pyarrow.parquet.read_table(path).to_pylist()
        if path.suffix == ".csv":
            return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))
        if path.suffix == ".jsonl":
            return [dict(orjson.loads(line)) for line in path.read_bytes().splitlines() if line.strip()]
    except (ValueError, TypeError) as error:  # pyarrow's and orjson's are ValueErrors
        raise ValueError(f"{path} is not {READERS[path.suffix]}: {error}") from error
    raise ValueError(f"{path} ends in {path.suffix or 'nothing'!r}; allowed: {', '.join(READERS)}")
