"""The `soulchat` command. Each verb is a few lines that import, then call, the module that does the work."""

import sys

import typer

from . import __version__, benchmark, convert, corpus, export, publish
from .rate import command as rate
from .talk import command as talk

app = typer.Typer(
    name="soulchat",
    help="Empathetic counselling models: corpus, training, evaluation, chat, publishing.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(corpus.app, name="corpus")
app.add_typer(benchmark.app, name="benchmark")
app.add_typer(publish.app, name="publish")
app.add_typer(rate.app, name="rate")
talk.register(app)
app.command()(convert.convert)
app.command()(export.export)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """Run the command; bad input becomes one line on stderr and exit code 2, never a traceback."""
    try:
        app()
    except ModuleNotFoundError as error:
        sys.exit(
            _refuse(
                f"{error.name} is not installed; this command needs one of the extras: pip install 'soulchat[all]'"
            )
        )
    except (ValueError, OSError) as error:
        from .flags import name_flags  # imports pydantic

        sys.exit(_refuse(name_flags(str(error), app, sys.argv[1:])))


def _refuse(line: str) -> int:
    print(f"soulchat: error: {' '.join(line.split())}", file=sys.stderr)
    return 2
