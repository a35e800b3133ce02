"""The question that every command asks before what people said leaves this machine."""

from typing import TypeVar
from urllib.parse import urlsplit

import typer

from soulchatcorpus.making.options import RequestOptions

Asking = TypeVar("Asking", bound=RequestOptions)


def ask_before_sending(what: str, options: Asking) -> Asking:
    """Say once what will leave this machine; the options with a yes to it."""
    host, names = urlsplit(options.base_url).hostname, ", ".join(options.models.weights)
    typer.echo(f"{what} will be sent to {host} for the models {names}.", err=True)
    if not options.yes:
        typer.confirm("Send them?", abort=True, err=True)
    return options.model_copy(update={"yes": True})
