"""`soulchat score PREDICTIONS`: the paper's seven metrics of a file of replies."""

from pathlib import Path
from typing import Annotated, Any

import typer


def score(
    predictions: Annotated[Path, typer.Argument(help="A .jsonl, .csv or .parquet file with a column of replies.")],
    references: Annotated[
        Path | None, typer.Option(help="Such a file with the references, in the same order; by default the same file.")
    ] = None,
    prediction_column: Annotated[str, typer.Option(help="Name of the column of replies.")] = "prediction",
    reference_column: Annotated[str, typer.Option(help="Name of the column of references.")] = "reference",
    json: Annotated[bool, typer.Option("--json", help="As JSON, with every digit.")] = False,
) -> None:
    """Score replies against references: BLEU-1 to -4, ROUGE-1, -2 and -L, with the metric's signature.

    What stands in <think>…</think> before either is no part of it.
    """
    import orjson

    import soulchat_metrics

    if references is None:
        given, expected = _read(predictions, prediction_column, reference_column)
    else:
        [given], [expected] = _read(predictions, prediction_column), _read(references, reference_column)
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


def _read(path: Path, *columns: str) -> list[list[Any]]:
    """The columns of a file, without thoughts before the replies; its name is in the error where it has none."""
    from soulchat_metrics.pair_files import read_columns
    from soulchat_metrics.trainer_metrics import without_thinking

    try:
        return [
            [without_thinking(value) if isinstance(value, str) else value for value in column]
            for column in read_columns(path, columns)
        ]
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
