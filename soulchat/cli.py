"""The `soulchat` command. Each verb is a few lines that import, then call, the module that does the work."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from . import __version__, benchmark, care, convert, corpus, environment, export, publish, score, simulate, train
from .judge import command as judge
from .rate import command as rate
from .talk import command as talk

INTERRUPTED = 130  # as a shell reports a process that SIGINT ended

app = typer.Typer(
    name="soulchat",
    help="Empathetic counselling models: corpus, training, evaluation, chat, publishing.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(corpus.app, name="corpus")
train.register(app)
app.add_typer(benchmark.app, name="benchmark")
app.command()(simulate.simulate)
app.command()(score.score)
app.add_typer(publish.app, name="publish")
app.add_typer(care.app, name="care")
app.add_typer(rate.app, name="rate")
app.add_typer(judge.app, name="judge")
talk.register(app)
app.command()(convert.convert)
app.command()(export.export)
app.command()(environment.env)


def print_version(is_asked: bool) -> None:
    """End with the version, before anything else is looked at."""
    if is_asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def soulchat(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=print_version)
    ] = False,
) -> None:
    """Empathetic counselling models: corpus, training, evaluation, chat, publishing."""


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main(words: Sequence[str] | None = None) -> None:
    """Run the command; bad input becomes one line on stderr and exit code 2, never a traceback; Ctrl-C a line, too."""
    words = sys.argv[1:] if words is None else words
    try:
        app(words)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            print("soulchat: interrupted", file=sys.stderr)
        raise
    except ModuleNotFoundError as error:
        from hub_cards.install import needs_extra

        sys.exit(_refuse(needs_extra(str(error.name), "all")))
    except (ValueError, OSError) as error:
        from .flags import name_flags  # imports pydantic

        sys.exit(_refuse(name_flags(str(error), app, words)))


def _refuse(line: str) -> int:
    from hub_cards.printable import printable

    print(f"soulchat: error: {printable(' '.join(line.split()))}", file=sys.stderr)
    return 2
