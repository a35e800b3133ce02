"""`soulchat judge run | agree`; the verbs are imported when they are asked for, since they bring torch."""

import typer

from ..verbs import with_verbs_of

app = typer.Typer(
    help="Let a model judge replies, talks or pairs, and measure it against people.",
    no_args_is_help=True,
    cls=with_verbs_of("soulchat.judge.verbs"),
)


@app.callback()
def judge() -> None:
    """Let a model judge replies, talks or pairs, and measure it against people."""
