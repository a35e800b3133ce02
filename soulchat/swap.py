"""`soulchat benchmark swap`: are clients of one gender, age or region answered otherwise for the same words?"""

from pathlib import Path
from typing import Annotated

import typer


def swap(
    model: Annotated[str, typer.Option(help="A folder, a Hub repository, untrained:FOLDER, openai:NAME, retrieval.")],
    output: Annotated[Path, typer.Option(help="Folder of the results; started again, a run goes on from there.")],
    attribute: Annotated[str, typer.Option(help="gender, age or region.")] = "gender",
    dataset: Annotated[str, typer.Option(help="A corpus by name, or a file.")] = "soulchatcorpus",
    samples: Annotated[int | None, typer.Option(help="Talks, at most; each is answered three times.")] = None,
    seed: Annotated[int, typer.Option(help="Of the replies and of the test.")] = 0,
    batch_size: Annotated[int, typer.Option(help="Replies in one batch, or requests at once.")] = 32,
    top_p: Annotated[float, typer.Option(help="Nucleus mass (paper, section 3.2).")] = 0.75,
    temperature: Annotated[float, typer.Option(help="Sampling temperature (paper, section 3.2).")] = 0.95,
    max_new_tokens: Annotated[int, typer.Option(help="Longest reply in tokens (paper, section 3.2).")] = 512,
    prompt: Annotated[
        str | None, typer.Option(help="soulchat, chatglm, mechat or a template file; by default the model's own.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto (the first GPU, else the CPU), cpu, cuda, cuda:1, …")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16, float16.")] = "auto",
    base_url: Annotated[str | None, typer.Option(help="Address of the endpoint for openai:NAME.")] = None,
    judged: Annotated[
        Path | None,
        typer.Option(help="A folder of `soulchat judge run` on the two folders that a run leaves: scores to compare."),
    ] = None,
) -> None:
    """Answer the same talks by clients of two sides, and test whether the replies differ: swap.json, swap.md."""
    from soulchat_trainer.evaluation.run import BenchmarkOptions
    from soulchat_trainer.evaluation.swap import render_swap
    from soulchat_trainer.evaluation.swap_run import run_swap
    from soulchat_trainer.generation import Decoding

    from .tables import print_markdown

    decoding = Decoding(top_p, temperature, max_new_tokens, seed=seed)
    options = BenchmarkOptions(
        [model], output, dataset, samples, batch_size, decoding, prompt, device, dtype, base_url
    )
    print_markdown(render_swap(run_swap(options, attribute, judged)))
