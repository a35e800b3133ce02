"""`soulchat corpus clean | review | style | rewrite | stats | build | run`: from questions and answers to a corpus.

A module of its own beside `corpus`, which imports it when a verb of making is asked for: flags are made of the models
of the options, and these take a second to import.
"""

from pathlib import Path
from typing import Annotated

import typer

from soulchatcorpus.making.options import (
    CleanOptions,
    RewriteOptions,
    StatsOptions,
    StyleOptions,
    is_loopback,
)

from .consent import ask_before_sending
from .corpus import Out, Source
from .flags import taking
from .progress import progress_bar
from .review.command import review

app = typer.Typer()


@app.command()
@taking(RewriteOptions)
def rewrite(
    source: Source,
    out: Out,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only estimate tokens and cost.")] = False,
    *,
    options: RewriteOptions,
) -> None:
    """Rewrite questions and answers into conversations, by a model behind an endpoint (key: OPENAI_API_KEY)."""
    from soulchatcorpus.making.rewrite import estimate
    from soulchatcorpus.making.rewrite import rewrite as run

    names = ", ".join(options.models.without_price)
    unpriced = f" (price of {names} not known: counted as 0, give --price)" if names else ""
    if dry_run:
        found = estimate(source, options)
        typer.echo(
            f"{found.records:,} records, {found.prompt_tokens:,} tokens out and {found.completion_tokens:,} back, "
            f"about ${found.cost:,.2f}{unpriced}"
        )
        return
    if not is_loopback(options.base_url):
        found = estimate(source, options)
        masked = "with private details AS THEY ARE" if options.send_unmasked else "with private details masked"
        beside = " and a counsellor's cases" if options.cases else ""
        what = f"{found.records:,} questions with answers{beside} ({found.characters:,} characters), {masked},"
        options = ask_before_sending(what, options)

    with progress_bar("record") as show:
        report = run(source, out, options, show)
    typer.echo(
        f"{report['accepted']:,} accepted, {report['rejected']:,} rejected {report['reasons']}, "
        f"{report['open']:,} open; {report['outside_prompt_rounds']:,} outside 8 to 20 rounds; ${report['cost']:.4f}"
        + unpriced
    )
    if report["open"]:
        typer.echo("stopped for --max-cost; run again with more to go on")
    elif not report["accepted"]:
        raise typer.Exit(1)


@app.command()
@taking(StyleOptions)
def style(
    source: Annotated[Path, typer.Argument(metavar="CASES", help="1 to 20 conversations, each with `consent: true`.")],
    out: Annotated[Path, typer.Option(help="The style card to write, a YAML file for people to read and edit.")],
    *,
    options: StyleOptions,
) -> None:
    """Summarise cases of a counsellor into a style card, by a model behind an endpoint (key: OPENAI_API_KEY)."""
    from soulchatcorpus.making.style import make_style, read_cases

    if not is_loopback(options.base_url):
        masked = "with private details AS THEY ARE" if options.send_unmasked else "with private details masked"
        options = ask_before_sending(f"{len(read_cases(source))} cases of a counsellor, {masked},", options)
    if make_style(source, out, options) is None:
        raise ValueError(f"max_cost is {options.max_cost}; allowed: more, the request could pass it")
    typer.echo(f"{out}: read it and edit it before it is used; it must tell nothing of any client")


@app.command()
@taking(CleanOptions)
def clean(
    source: Source,
    out: Out,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what OUT holds of another source.")] = False,
    *,
    options: CleanOptions,
) -> None:
    """Keep, drop, flag, label or mask records by rules; what was done, and why, is kept beside the result."""
    from soulchatcorpus.making.clean import clean as run

    if (requests := options.requests) and not is_loopback(requests.base_url):
        ask_before_sending("What users say, private details masked,", requests)
        options = options.model_copy(update={"yes": True})
    report = run(source, out, options, overwrite)
    typer.echo(f"{report['read']:,} read, {report['kept']:,} kept, {report['dropped']:,} dropped")
    for step, actions_done in report["steps"].items():
        for done, reasons in actions_done.items():
            listed = ", ".join(f"{reason} {number:,}" for reason, number in list(reasons.items())[:8])
            typer.echo(f"  {step} ({done}): {listed}")


app.command()(review)


@app.command()
@taking(StatsOptions)
def stats(
    source: Source,
    out: Out,
    seed: Annotated[int, typer.Option(help="Of the sample of replies whose sameness is measured.")] = 0,
    *,
    options: StatsOptions,
) -> None:
    """Describe a corpus: topics, word cloud, turns, lengths, questions, empathy, sameness; JSON, PNG and SVG."""
    from soulchatcorpus.making.figures import write_statistics

    from .sameness import tell_sameness, write_sameness

    found = write_statistics(source, out, options)
    typer.echo(
        f"{found['conversations']:,} conversations, {found['turns']:,} turns; counsellors' messages with a question "
        f"{found['share_questions']:.1%}, with empathy {found['share_empathy']:.1%}"
    )
    for line in tell_sameness(write_sameness(source, out, options.compare, seed)):
        typer.echo(line)


@app.command()
def build(source: Source, out: Out) -> None:
    """Write Parquet by config and split, with provenance columns, and the numbers for the card."""
    from soulchatcorpus.making.build import build as run

    for config, splits in run(source, out)["configs"].items():
        typer.echo(f"{config}: " + ", ".join(f"{split} {found['rows']:,}" for split, found in splits.items()))


@app.command()
def run(config: Annotated[Path, typer.Argument(help="A pipeline.yaml: source, out, steps.")]) -> None:
    """Run a whole pipeline; what is done is not done again."""
    from soulchatcorpus.making.run import run_pipeline

    def tell(name: str, report: dict | None) -> None:
        if report is None:
            typer.echo(name)
        else:
            numbers = {key: value for key, value in report.items() if isinstance(value, int)}
            # The build's are rows by config and split.
            for config, splits in report.get("configs", {}).items():
                numbers |= {f"{config}/{split}": found["rows"] for split, found in splits.items()}
            typer.echo("  " + ", ".join(f"{key} {value:,}" for key, value in numbers.items()))

    run_pipeline(config, tell)
