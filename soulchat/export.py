"""`soulchat export MODEL DIR`: what was trained, for transformers, vLLM and Ollama."""

from pathlib import Path
from typing import Annotated

import typer

NEXT = {
    "hf": "AutoModelForCausalLM.from_pretrained({folder!r})",
    "vllm": "vllm serve {folder}",
    "ollama": "ollama create NAME -f {folder}/Modelfile",
}


def export(
    model: Annotated[str, typer.Argument(help="A folder (an adapter's, too), or a repository of the Hub.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New folder for the export.")],
    to: Annotated[str, typer.Option(help="hf, vllm or ollama.")] = "hf",
    dtype: Annotated[str, typer.Option(help="auto (as saved), float32, bfloat16, float16.")] = "auto",
    converter: Annotated[
        Path | None, typer.Option(help="For ollama: llama.cpp's convert_hf_to_gguf.py.", metavar="FILE")
    ] = None,
) -> None:
    """Write merged weights, template, decoding and stop tokens, and prove that they are what was trained."""
    from hub_cards.model_name import check_model_name

    check_model_name(model)  # before torch is loaded, which takes a while

    from soulchat_trainer.export import export_model

    parity = export_model(model, folder, to, converter, dtype)
    gguf = f", also in the GGUF of {parity.gguf}" if parity.gguf else ""
    typer.echo(f"{folder}: ids of {parity.talks} talks{gguf} and {parity.replies} greedy replies are equal")
    typer.echo("Next: " + NEXT[to].format(folder=str(folder)))
