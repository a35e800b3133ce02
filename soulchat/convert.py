"""`soulchat convert IN OUT`: ChatGLM2 and ChatGLM3 checkpoints as transformers' own GLM."""

from pathlib import Path
from typing import Annotated

import typer


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Folder of a ChatGLM2-6B or ChatGLM3-6B checkpoint.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="New folder for the GlmForCausalLM checkpoint.")],
) -> None:
    """Turn the weights of ChatGLM2-6B or ChatGLM3-6B into a native GlmForCausalLM (ChatGLM-6B v1 needs none).

    Their tokenizer has no counterpart in transformers: tokenizer.model is copied, for sentencepiece itself.
    """
    from soulchat_trainer.chatglm.convert import convert_checkpoint

    convert_checkpoint(source, target)
    typer.echo(
        f"{target}: GlmForCausalLM, loads with AutoModelForCausalLM.from_pretrained; its tokenizer.model is for "
        "sentencepiece, not for AutoTokenizer, which gives other ids"
    )
