"""`soulchat rate pairs`: a module of its own beside `command`, since its flags are made of a pydantic model."""

from pathlib import Path
from typing import Annotated

import typer

from ..flags import taking
from .command import Source
from .pair_rules import PairRules

app = typer.Typer()


@app.callback()
def rate() -> None:
    """Let people rate replies as the paper did (CEHS)."""


@app.command()
@taking(PairRules)
def pairs(
    study: Annotated[Path, typer.Argument(help="Folder of the study, or of a judge.", metavar="DIR")],
    output: Annotated[Path, typer.Option(help="Preferences to write, JSON lines.")],
    options: PairRules,
    source: Source = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what an earlier `rate pairs` wrote there.")
    ] = False,
) -> None:
    """Write which replies raters prefer, for training by preferences, with a card that says by which rules."""
    from .judged import open_ratings
    from .pairs import describe, write_preferences

    typer.echo(describe(write_preferences(open_ratings(study, source or []), output, options, overwrite)))
