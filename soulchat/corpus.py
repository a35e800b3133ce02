"""`soulchat corpus …`: convert, check and make corpora."""

import typer

app = typer.Typer(help="Convert, check and make corpora.", no_args_is_help=True)


@app.callback()
def corpus() -> None:
    """Convert, check and make corpora."""
