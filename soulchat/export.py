"""`soulchat export IN OUT`: a model with its adapter merged, as a folder that loads without PEFT."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    source: Annotated[str, typer.Argument(metavar="IN", help="An adapter (LoRA) or a model: folder or Hub name.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="New folder for the whole model.")],
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16, float16.")] = "auto",
) -> None:
    """Merge an adapter into its base: a folder with config, tokenizer and weights that loads without PEFT."""
    from soulchat_trainer.loading import load_model

    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise FileExistsError(f"{target} is there already; allowed: a new folder")
    model, tokenizer = load_model(source, "cpu", dtype)
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    typer.echo(f"{target}: {type(model).__name__}, whole")
