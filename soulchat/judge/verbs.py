"""`soulchat judge run`: a model's scores. `soulchat judge agree`: what they are worth beside people's."""

from pathlib import Path
from typing import Annotated

import typer

from soulchat_trainer.evaluation.judge import JudgeOptions
from soulchatcorpus.making.options import is_loopback

from ..consent import ask_before_sending
from ..flags import taking
from ..progress import progress_bar

app = typer.Typer()


@app.command()
@taking(JudgeOptions)
def run(
    results: Annotated[
        list[Path],
        typer.Argument(metavar="RESULTS…", help="A folder with predictions.jsonl, or talks, for each system."),
    ],
    output: Annotated[Path, typer.Option(help="Folder of the scores; started again, a run goes on from there.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only estimate requests, tokens and cost.")] = False,
    *,
    options: JudgeOptions,
) -> None:
    """Let a model judge every reply, talk or pair by a rubric (key of an endpoint: OPENAI_API_KEY)."""
    from soulchat_trainer.evaluation.judge import estimate, judge

    found = estimate(results, options)
    where = "on this machine" if options.is_local else f"about ${found.cost:,.2f}"
    names = "" if options.is_local else ", ".join(options.models.without_price)
    unpriced = f" (price of {names} not known: counted as 0, give --price)" if names else ""
    typer.echo(
        f"{found.records:,} requests, {found.prompt_tokens:,} tokens out and {found.completion_tokens:,} back, "
        f"{where}{unpriced}",
        err=not dry_run,
    )
    if dry_run:
        return
    if not options.is_local and not is_loopback(options.base_url):
        masked = "with private details AS THEY ARE" if options.send_unmasked else "with private details masked"
        options = ask_before_sending(
            f"{found.records:,} prompts ({found.characters:,} characters), {masked},", options
        )
    with progress_bar("answer") as show:
        report = judge(results, output, options, show)
    scored = report["outcomes"].get("scored", 0)
    others = {outcome: count for outcome, count in report["outcomes"].items() if outcome != "scored"}
    typer.echo(
        f"{scored:,} scored, {sum(others.values()):,} without scores {others}, {report['open']:,} open; "
        f"${report['cost']:.4f}{unpriced}"
    )
    for aspect, told in report["orders"].items():
        typer.echo(f"{aspect}: {told['follows_order']:.1%} of {told['pairs']:,} decisions follow the order")
    for aspect, told in report["repeats"].items():
        typer.echo(f"{aspect}: the judge repeats itself in {told['same']:.1%}")
    typer.echo(f"These scores are {report['note']}: compare them with `soulchat judge agree`.")
    if report["open"]:
        typer.echo("stopped for --max-cost; run again with more to go on")
    elif not scored:
        raise typer.Exit(1)


@app.command()
def agree(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="Folder of a study of `soulchat rate`.")],
    judged: Annotated[Path, typer.Argument(metavar="JUDGED", help="Folder of `soulchat judge run`.")],
    width: Annotated[float, typer.Option(help="Of an interval: how many more ratings would bring it.")] = 0.2,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Measure the judge against people, and correct its means: agreement.md, .json and .png in JUDGED."""
    import orjson

    from soulchat_trainer.evaluation.agreement import compare_with_people, read_judgement
    from soulchat_trainer.evaluation.agreement_report import write_agreement

    from ..rate.study import RatingStudy
    from ..tables import print_markdown
    from .people import list_rated

    judgement = read_judgement(judged)
    report = compare_with_people(judgement, list_rated(RatingStudy(study), judgement), width)
    text = write_agreement(report, judgement.rubric, judged)
    if json:
        typer.echo(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode())
        return
    print_markdown(text)
    typer.echo(f"\n{judged / 'agreement.md'}")
