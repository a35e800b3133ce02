"""`soulchat rate …`: the manual half of the paper's Table 1, by people (section 3.3, appendix G)."""

from pathlib import Path
from typing import Annotated

import typer

from ..verbs import with_verbs_of

app = typer.Typer(
    help="Let people rate replies as the paper did (CEHS).",
    no_args_is_help=True,
    cls=with_verbs_of("soulchat.rate.pairs_command"),
)

Source = Annotated[
    list[Path] | None, typer.Option(help="With a judge's folder: a folder with predictions.jsonl that it judged.")
]
Study = Annotated[Path, typer.Argument(help="Folder of the study.", metavar="DIR")]


@app.command()
def create(
    systems: Annotated[
        list[Path],
        typer.Argument(help="For each system a folder with predictions.jsonl, or a file of talks.", metavar="DIR…"),
    ],
    output: Annotated[Path, typer.Option(help="Folder of the new study.")],
    raters: Annotated[int, typer.Option(help="People who rate (paper, section 3.3).")] = 3,
    samples: Annotated[int, typer.Option(help="Dialogues (paper, section 3.3).")] = 100,
    seed: Annotated[int, typer.Option(help="Seed of the sample and of the orders.")] = 0,
    rubric: Annotated[
        str, typer.Option(help="What is asked: cehs (replies; the paper's), cpsycoun (turns), pair, or a YAML file.")
    ] = "cehs",
) -> None:
    """Sample dialogues, blind and shuffle what is rated for each rater, and print the raters' tokens, once."""
    from soulchat_trainer.evaluation.rubric import read_rubric

    from .study import RatingStudy, create_study

    tokens = create_study(systems, raters, samples, seed, output, read_rubric(rubric))
    typer.echo(f"{len(RatingStudy(output).things())} items for each rater, of {samples} dialogues")
    for name, token in tokens.items():
        typer.echo(f"{name}: {token}")
    typer.echo(f"The tokens are kept nowhere else; `soulchat rate token {output} RATER` makes a new one.")


@app.command()
def token(study: Study, rater: Annotated[str, typer.Argument(help="For example rater-1.")]) -> None:
    """Print a new token for a rater who lost theirs; the old one ends."""
    from .study import RatingStudy

    typer.echo(RatingStudy(study).renew_token(rater))


@app.command()
def serve(
    study: Study, port: Annotated[int, typer.Option(help="Port on this machine; 0 takes any free one.")] = 7860
) -> None:
    """Open the page for raters on this machine (127.0.0.1)."""
    from ..web.launch import serve_page
    from .page import make_page
    from .study import RatingStudy

    serve_page(make_page(RatingStudy(study)), port=port)


@app.command()
def export(
    study: Study,
    output: Annotated[Path, typer.Option(help="CSV to write; with --to a folder.")],
    sheet: Annotated[
        str | None, typer.Option(help="Instead: this rater's items with their texts, to be filled in by hand.")
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(help="Instead: the items of --sheet that are not rated yet, for label-studio or argilla."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier file of the ratings; never a sheet.")
    ] = False,
) -> None:
    """Write the ratings as CSV: rater, item, and a column for each aspect."""
    from .exchange import export_tasks
    from .sheets import export_ratings, export_sheet
    from .study import RatingStudy

    if overwrite and (sheet is not None or to is not None):
        raise ValueError("overwrite is for the ratings alone; allowed with sheet or to: a new name")
    if to is not None:
        typer.echo(f"{export_tasks(RatingStudy(study), to, sheet, output)} items of {sheet} that are not rated yet")
    elif sheet is None:
        typer.echo(f"{export_ratings(RatingStudy(study), output, overwrite)} ratings")
    else:
        typer.echo(f"{export_sheet(RatingStudy(study), sheet, output)} items of {sheet}")


@app.command("import")
def import_(
    study: Study,
    file: Annotated[
        Path, typer.Argument(help="CSV, JSON export of Label Studio, or records.json of Argilla.", metavar="FILE")
    ],
) -> None:
    """Save the ratings of a file: all of them, or none where one is wrong."""
    from .exchange import import_ratings
    from .study import RatingStudy

    typer.echo(f"{import_ratings(RatingStudy(study), file)} ratings")


@app.command()
def gate(
    study: Study,
    run: Annotated[Path, typer.Argument(help="Output folder of training by preferences.", metavar="RUN")],
    before: Annotated[str, typer.Option(help="The study's name of the starting model.")] = "base",
    after: Annotated[str | None, typer.Option(help="That of the trained one; the run's folder by default.")] = None,
    source: Source = None,
) -> None:
    """Write what was found of a model before and after training into its card; exit code 3 where safety fell.

    DIR is a study of people, a judge's folder, or the output of `soulchat benchmark crisis`.
    """
    from soulchat_trainer.evaluation.gate import EXIT_CODE

    from .gate import add_changes_of, describe_changes

    preferences = add_changes_of(study, run, before, after or run.resolve().name, source or [])
    typer.echo(describe_changes(preferences))
    if preferences.fallen:
        raise typer.Exit(EXIT_CODE)


@app.command()
def report(
    study: Study,
    rate: Annotated[float, typer.Option(help="Pay an hour (paper, ethics statement: 8.36 US dollars).")] = 8.36,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Print means by system, agreement, raters, time, pay, and Table 1 with both halves, and write report.md."""
    import orjson

    from soulchatcorpus.files import write_text

    from ..tables import print_markdown
    from .report import render_report, report_ratings
    from .study import RatingStudy

    numbers = report_ratings(RatingStudy(study), rate)
    if json:
        typer.echo(orjson.dumps(numbers, option=orjson.OPT_INDENT_2).decode())
        return
    text = render_report(numbers)
    write_text(study / "report.md", text + "\n")
    print_markdown(text)
    typer.echo(f"\n{study / 'report.md'}")
