"""`soulchat corpus clean | review | rewrite | stats | build | run`: from questions and answers to a corpus."""

from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .corpus import app
from .review.command import review

if TYPE_CHECKING:
    from soulchatcorpus.making.requests import Progress
    from soulchatcorpus.making.rewrite import RewriteOptions

Source = Annotated[Path, typer.Argument(help="A JSON lines file, or a folder that an earlier step left.")]
Out = Annotated[Path, typer.Option(help="The folder to write to.")]


class UnknownTopics(StrEnum):
    """What to do with a topic that is none of the twelve."""

    refuse = "refuse"
    relabel = "relabel"


Unknown = Annotated[
    UnknownTopics, typer.Option(help="A topic that is none of the twelve: refuse the file, or leave it open.")
]


@app.command()
def rewrite(
    source: Source,
    out: Out,
    base_url: Annotated[str, typer.Option(help="An OpenAI-compatible endpoint, such as http://127.0.0.1:8000/v1.")],
    model: Annotated[str, typer.Option(help="NAME[=WEIGHT],… (the paper: gpt-3.5-turbo=99,gpt-4=1).")],
    prompt: Annotated[
        str, typer.Option(help="soulchat, soulchat-en, or a text file with {single_turn} in it.")
    ] = "soulchat",
    concurrency: Annotated[int, typer.Option(help="Requests under way at once.")] = 16,
    requests_per_minute: Annotated[int, typer.Option(help="0: no limit.")] = 0,
    tokens_per_minute: Annotated[int, typer.Option(help="Both ways together; 0: no limit.")] = 0,
    timeout: Annotated[float, typer.Option(help="Seconds for one request.")] = 120.0,
    max_tokens: Annotated[int | None, typer.Option(help="Of a reply; left to the endpoint where not given.")] = None,
    max_cost: Annotated[float | None, typer.Option(help="Stop before this many US dollars are passed.")] = None,
    price: Annotated[list[str] | None, typer.Option(help="NAME=IN,OUT: US dollars for a million tokens.")] = None,
    min_rounds: Annotated[int, typer.Option(help="Shorter rewritings are rejected (the paper's Figure 7 has 5).")] = 4,
    retry: Annotated[str | None, typer.Option(help="'rejected': ask again for what was rejected.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only estimate tokens and cost.")] = False,
    send_unmasked: Annotated[bool, typer.Option("--send-unmasked", help="Send private details as they are.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before text leaves this machine.")] = False,
    unknown_topics: Unknown = UnknownTopics.refuse,
) -> None:
    """Rewrite questions and answers into conversations, by a model behind an endpoint (key: OPENAI_API_KEY)."""
    from soulchatcorpus.making.costs import read_models
    from soulchatcorpus.making.prompts import load_prompt
    from soulchatcorpus.making.rewrite import RewriteOptions, estimate

    if retry not in (None, "rejected"):
        raise ValueError(f"--retry {retry!r}: only 'rejected' is allowed")
    options = RewriteOptions(
        base_url=base_url,
        models=read_models(model, price or []),
        prompt=load_prompt(prompt),
        concurrency=concurrency,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        timeout=timeout,
        max_tokens=max_tokens,
        max_cost=max_cost,
        min_rounds=min_rounds,
        send_unmasked=send_unmasked,
        retry_rejected=retry == "rejected",
        unknown_topics=unknown_topics.value,
    )
    if dry_run:
        found = estimate(source, options)
        typer.echo(
            f"{found.records:,} records, {found.prompt_tokens:,} tokens out and {found.completion_tokens:,} back, "
            f"about ${found.cost:,.2f}" + _unpriced(options)
        )
        return
    _ask_before_sending(source, options, yes)
    report = _rewrite_with_bar(source, out, options)
    typer.echo(
        f"{report['accepted']:,} accepted, {report['rejected']:,} rejected {report['reasons']}, "
        f"{report['open']:,} open; {report['outside_prompt_rounds']:,} outside 8 to 20 rounds; ${report['cost']:.4f}"
        + _unpriced(options)
    )
    if report["open"]:
        typer.echo("stopped for --max-cost; run again with more to go on")


def _unpriced(options: "RewriteOptions") -> str:
    names = options.models.without_price
    return f" (price of {', '.join(names)} not known: counted as 0, give --price)" if names else ""


def _ask_before_sending(source: Path, options: "RewriteOptions", yes: bool) -> None:
    """For an endpoint elsewhere, say once what will leave the machine."""
    from urllib.parse import urlsplit

    from soulchatcorpus.making.endpoint import is_loopback
    from soulchatcorpus.making.rewrite import estimate

    if is_loopback(options.base_url):
        return
    found = estimate(source, options)
    masked = "with private details AS THEY ARE" if options.send_unmasked else "with private details masked"
    typer.echo(
        f"{found.records:,} questions with answers ({found.characters:,} characters), {masked}, will be sent to "
        f"{urlsplit(options.base_url).hostname} for the models {', '.join(options.models.weights)}.",
        err=True,
    )
    if not yes:
        typer.confirm("Send them?", abort=True, err=True)


def _rewrite_with_bar(source: Path, out: Path, options: "RewriteOptions") -> dict:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from soulchatcorpus.making.rewrite import rewrite as run

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("${task.fields[cost]:.4f}"), TimeRemainingColumn())
    bar = Bar(*columns, console=Console(stderr=True))
    task = bar.add_task("rewrite", total=None, cost=0.0)
    with ExitStack() as shown:

        def show(progress: "Progress") -> None:
            if not bar.live.is_started:  # not before the source is known to be whole
                shown.enter_context(bar)
            bar.update(task, total=progress.total, completed=progress.done, cost=progress.cost)

        return run(source, out, options, show)


class Topics(StrEnum):
    """Where a missing topic comes from."""

    words = "words"
    endpoint = "endpoint"
    none = "none"


@app.command()
def clean(
    source: Source,
    out: Out,
    action: Annotated[
        list[str] | None, typer.Option(help="STEP=ACTION, such as special=drop or privacy=flag.")
    ] = None,
    min_characters: Annotated[int, typer.Option(help="Of a whole record.")] = 20,
    max_characters: Annotated[int, typer.Option(help="Of a whole record.")] = 20_000,
    language: Annotated[str, typer.Option(help="zh, en, or any.")] = "any",
    recogniser: Annotated[
        bool, typer.Option("--recogniser", help="Also names and places, by jieba's tagger.")
    ] = False,
    topics: Annotated[
        Topics, typer.Option(help="Missing topics: by keywords, by a model, or left open.")
    ] = Topics.words,
    base_url: Annotated[str | None, typer.Option(help="With --topics endpoint.")] = None,
    model: Annotated[str | None, typer.Option(help="With --topics endpoint: NAME[=WEIGHT],…")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before text leaves this machine.")] = False,
    tasks: Annotated[int, typer.Option(help="Parts to cut the work into.")] = 1,
    workers: Annotated[int, typer.Option(help="Processes at once.")] = 1,
    unknown_topics: Unknown = UnknownTopics.refuse,
) -> None:
    """Keep, drop, flag, label or mask records by rules; what was done, and why, is kept beside the result."""
    from soulchatcorpus.making.clean import CleanOptions
    from soulchatcorpus.making.clean import clean as run

    actions = dict(pair.partition("=")[::2] for pair in action or [])
    asked = _ask_topics(source, out, base_url, model, yes, unknown_topics) if topics is Topics.endpoint else {}
    options = CleanOptions(
        actions=actions,
        min_characters=min_characters,
        max_characters=max_characters,
        language=language,
        recogniser=recogniser,
        topics="none" if topics is Topics.none else "words",
        asked_topics=asked,
        unknown_topics=unknown_topics.value,
        tasks=tasks,
    )
    report = run(source, out, options, workers)
    typer.echo(f"{report['read']:,} read, {report['kept']:,} kept, {report['dropped']:,} dropped")
    for step, actions_done in report["steps"].items():
        for done, reasons in actions_done.items():
            listed = ", ".join(f"{reason} {number:,}" for reason, number in list(reasons.items())[:8])
            typer.echo(f"  {step} ({done}): {listed}")


def _ask_topics(
    source: Path, out: Path, base_url: str | None, model: str | None, yes: bool, unknown_topics: UnknownTopics
) -> dict[str, str]:
    from soulchatcorpus.making.costs import read_models
    from soulchatcorpus.making.endpoint import is_loopback
    from soulchatcorpus.making.requests import RequestOptions
    from soulchatcorpus.making.topics import ask_topics

    if not base_url or not model:
        raise ValueError("--topics endpoint wants --base-url and --model")
    if not is_loopback(base_url) and not yes:
        question = f"What users say, private details masked, will be sent to {base_url} for topics. Send it?"
        typer.confirm(question, abort=True, err=True)
    options = RequestOptions(base_url=base_url, models=read_models(model, []))
    return ask_topics(source, out, options, unknown_topics.value)


app.command()(review)


@app.command()
def stats(
    source: Source,
    out: Out,
    compare: Annotated[Path | None, typer.Option(help="Another corpus to set beside it.")] = None,
    font: Annotated[Path | None, typer.Option(help="A font file with the corpus's characters.")] = None,
) -> None:
    """Describe a corpus: topics, word cloud, turns, lengths, questions, empathy; JSON, PNG and SVG."""
    from soulchatcorpus.making.describe import write_statistics

    found = write_statistics(source, out, compare, font)
    typer.echo(
        f"{found['conversations']:,} conversations, {found['turns']:,} turns; counsellors' messages with a question "
        f"{found['share_questions']:.1%}, with empathy {found['share_empathy']:.1%}"
    )


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
