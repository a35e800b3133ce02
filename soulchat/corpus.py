"""`soulchat corpus …`: convert, check and make corpora."""

import enum
from pathlib import Path
from typing import Annotated

import typer

from .verbs import with_verbs_of

app = typer.Typer(help="Convert, check and make corpora.", no_args_is_help=True, cls=with_verbs_of("soulchat.making"))


class OnError(enum.StrEnum):
    """What to do at a record that cannot be read."""

    RAISE = "raise"
    SKIP = "skip"


class Target(enum.StrEnum):
    """What `convert` writes."""

    TURNS = "turns"
    CONVERSATIONS = "conversations"
    SHAREGPT = "sharegpt"
    ALPACA = "alpaca"
    QUESTIONS = "questions"


# What the verbs of making share.
Source = Annotated[Path, typer.Argument(help="A JSON lines file, or a folder that an earlier step left.")]
Out = Annotated[Path, typer.Option(help="The folder to write to.")]

Format = Annotated[str | None, typer.Option(help="Name of the input's format; recognised by content without it.")]


@app.callback()
def corpus() -> None:
    """Convert, check and make corpora."""


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A file or folder in any known format.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="Ends in .jsonl or .parquet.")],
    to: Annotated[Target, typer.Option(help="The form of the rows to write.")],
    format: Format = None,
    on_error: Annotated[OnError, typer.Option(help="Stop at a bad record, or set it aside.")] = OnError.RAISE,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an OUT that is there already.")] = False,
) -> None:
    """Write a corpus in another form. Rejected records go to OUT.rejected.jsonl with their reasons."""
    from soulchatcorpus.files import show
    from soulchatcorpus.tools.convert import convert as convert_corpus

    conversion = convert_corpus(source, output, to.value, format, on_error.value, overwrite=overwrite)
    typer.echo(f"{conversion.rows:,} rows of {to.value} in {show(output)}")
    for line in conversion.report.lines():
        typer.echo(line)
    for what, count in conversion.left_out.items():
        typer.echo(f"left out, since {to.value} cannot carry it: {count:,} {what}")
    if conversion.report.rejected:
        typer.echo(f"rejected records: {show(output)}.rejected.jsonl")


@app.command()
def check(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A file or folder in any known format.")],
    format: Format = None,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Read a corpus and say what is in it, which rules fired and what they did. Exit code 1 if a record is bad."""
    import orjson

    from soulchatcorpus.reading.corpus import Report, read_corpus

    report = Report()
    for _ in read_corpus(source, format, "skip", report):
        pass
    if json:
        typer.echo(orjson.dumps(report.to_dict(), option=orjson.OPT_INDENT_2).decode())
    else:
        for line in report.lines():
            typer.echo(line)
    if report.rejected:
        raise typer.Exit(1)


@app.command()
def audit(
    sources: Annotated[list[str], typer.Argument(metavar="CORPUS…", help="Files, folders, names for load_dataset.")],
    test: Annotated[
        str | None, typer.Option(metavar="BENCHMARK", help="Its test items are looked for in every corpus.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="A folder for audit.json, audit.md (for the card) and the shared ids.")
    ] = None,
) -> None:
    """Say what corpora share (openings, questions, dialogues), and which messages hold what does not belong there."""
    from tqdm.auto import tqdm

    from hub_cards.audit_page import render_audit
    from soulchatcorpus.tools.audit import audit as audit_corpora

    from .tables import print_markdown

    with tqdm(unit=" conversations", delay=1, leave=False) as bar:

        def show(name: str, read: int) -> None:
            bar.set_description_str(name, refresh=False)
            bar.update(read - bar.n)

        found = audit_corpora(sources, test, out, show, render_audit)
    print_markdown(render_audit(found))
    if out is not None:
        typer.echo(f"written to {out}: audit.json, audit.md, and the ids that each pair shares")
