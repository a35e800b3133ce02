"""`soulchat score PREDICTIONS`: the paper's seven metrics of a file of replies."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas

READERS = {".jsonl": "JSON lines", ".csv": "CSV", ".parquet": "Parquet"}


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
            f"{predictions} has {len(given):,} rows, {references} has {len(expected):,}; allowed: as many, in one order"
        )
    found = soulchat_metrics.score(given, expected)
    if json:
        typer.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode())
        return
    for name in soulchat_metrics.METRIC_NAMES:
        typer.echo(f"{name:<10}{found[name]:8.2f}")
    typer.echo(f"{len(given):,} replies, {found['signature']}")


def _read_column(path: Path, column: str) -> list[str]:
    table = _read_table(path)
    if column not in table:
        raise ValueError(f"{path} has the columns {', '.join(map(str, table))}; allowed: one called {column}")
    rows = table[column].tolist()
    for number, text in enumerate(rows, 1):
        if not isinstance(text, str):
            raise ValueError(f"{path}: row {number}: {column} is {text!r}; allowed: a text")
    return rows


def _read_table(path: Path) -> "pandas.DataFrame":
    import pandas

    try:
        if path.suffix == ".parquet":
            return pandas.read_parquet(path)
        if path.suffix == ".csv":
            return pandas.read_csv(path, dtype=str, keep_default_na=False)
        if path.suffix == ".jsonl":
            return pandas.read_json(path, lines=True, dtype=False, convert_dates=False)
    except ValueError as error:
        raise ValueError(f"{path} is not {READERS[path.suffix]}: {error}") from error
    raise ValueError(f"{path} ends in {path.suffix or 'nothing'!r}; allowed: {', '.join(READERS)}")
