"""`soulchat benchmark …`: the automatic half of the paper's Table 1, for any model."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from .simulate import crisis, talks
from .swap import swap

app = typer.Typer(help="Score models as the paper does (Table 1).", no_args_is_help=True)


@app.callback()
def benchmark() -> None:
    """Score models as the paper does (Table 1)."""


@app.command()
def run(
    model: Annotated[
        list[str],
        typer.Option(
            help="A folder, a Hub repository, untrained:FOLDER, openai:NAME, or retrieval; give it again for more."
        ),
    ],
    output: Annotated[Path, typer.Option(help="Folder of the results; started again, a run goes on from there.")],
    dataset: Annotated[
        str,
        typer.Option(help="A corpus by name (soulchatcorpus: the embedded sample), or a file."),
    ] = "soulchatcorpus",
    samples: Annotated[int | None, typer.Option(help="Test turns; by default all, at most 10,000.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the samples and of the replies.")] = 0,
    batch_size: Annotated[int, typer.Option(help="Replies in one batch, or requests at once.")] = 32,
    top_p: Annotated[float, typer.Option(help="Nucleus mass (paper, section 3.2).")] = 0.75,
    temperature: Annotated[float, typer.Option(help="Sampling temperature (paper, section 3.2).")] = 0.95,
    max_new_tokens: Annotated[int, typer.Option(help="Longest reply in tokens (paper, section 3.2).")] = 512,
    thinking: Annotated[
        str, typer.Option(help="off: ask models that think not to. keep: let them; their thoughts are never scored.")
    ] = "off",
    greedy: Annotated[bool, typer.Option(help="Take the likeliest token instead of drawing.")] = False,
    prompt: Annotated[
        str | None,
        typer.Option(help="soulchat, chatglm, mechat or a template file; by default the model's own."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto (the first GPU, else the CPU), cpu, cuda, cuda:1, …")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16, float16.")] = "auto",
    base_url: Annotated[
        str | None, typer.Option(help="Address of the endpoint for openai:NAME; the key is that of OPENAI_API_KEY.")
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            help="Also score groups of turns, into groups.json and groups.md: topic, turn, counsellor, client.gender, "
            "client.age_group, or another field of the client."
        ),
    ] = None,
) -> None:
    """Answer test turns and score the replies: predictions.jsonl, results.json, table.md, table.tex, table.png."""
    from soulchat_trainer.evaluation.run import BenchmarkOptions, run_benchmark
    from soulchat_trainer.evaluation.tables import write_tables
    from soulchat_trainer.generation import Decoding
    from soulchatcorpus.thoughts import check_thinking

    from .tables import print_markdown

    policy = check_thinking(thinking)
    decoding = Decoding(top_p, temperature, max_new_tokens, do_sample=not greedy, seed=seed, thinking=policy)
    options = BenchmarkOptions(
        model, output, dataset, samples, batch_size, decoding, prompt, device, dtype, base_url, by
    )
    if run_benchmark(options) is not None:
        print_markdown(write_tables([output], output))
        for page in sorted(output.rglob("groups.md")) if by else ():
            print_markdown(page.read_text(encoding="utf-8"))
        typer.echo(f"\n{output / 'table.md'}")


app.command()(talks)
app.command()(crisis)
app.command()(swap)


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Folder of the task.", metavar="DIR")],
    to: Annotated[str, typer.Option(help="lm-eval or lighteval.")],
    dataset: Annotated[str, typer.Option(help="A corpus by name, or a file.")] = "soulchatcorpus",
    samples: Annotated[int | None, typer.Option(help="Test turns; by default all, at most 10,000.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the samples.")] = 0,
) -> None:
    """Write Table 1 as a task of lm-evaluation-harness or LightEval: the test turns, and the same scores."""
    from .harness.export import export_task

    typer.echo(f"{export_task(to, folder, dataset, samples, seed)} test turns in {folder}")


@app.command()
def table(
    folders: Annotated[list[Path], typer.Argument(help="Folders with results.json.", metavar="DIR…")],
    format: Annotated[str, typer.Option(help="markdown or latex.")] = "markdown",
    chart: Annotated[Path | None, typer.Option(help="Also draw a bar chart into this .png.")] = None,
    judged: Annotated[
        Path | None, typer.Option(help="Folder of `soulchat judge run`: what a judge and people say, as columns.")
    ] = None,
) -> None:
    """Print Table 1 of some results, with the paper's rows in a block of their own."""
    from soulchat_trainer.evaluation.opinions import read_opinions
    from soulchat_trainer.evaluation.tables import FORMATS, draw_chart, read_tables

    from .tables import print_markdown

    if format not in FORMATS:
        raise ValueError(f"format is {format!r}; allowed: {', '.join(FORMATS)}")
    tables = read_tables(folders)
    if chart is not None:
        draw_chart(tables, chart)
    text = FORMATS[format](tables, read_opinions(judged) if judged else None)
    if format == "markdown" and sys.stdout.isatty():  # into a file or a pipe it goes as it is
        print_markdown(text)
    else:
        typer.echo(text)
