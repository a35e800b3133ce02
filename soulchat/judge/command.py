"""`soulchat judge run | agree`; the verbs are imported when they are asked for, since they bring torch."""

import typer

from ..lazy import lazy_group

app = typer.Typer(
    help="Let a model judge replies, talks or pairs, and measure it against people.",
    no_args_is_help=True,
    cls=lazy_group("soulchat.judge.verbs"),
)


@app.callback()
def judge() -> None:
    """Let a model judge replies, talks or pairs, and measure it against people."""
