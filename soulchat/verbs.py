"""Verbs of a command whose import is slow, which are imported when they are asked for."""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup


def with_verbs_of(module: str) -> type[TyperGroup]:
    """A group that also has the verbs of the `app` in `module`, whose flags are made of pydantic models, say."""

    class Group(TyperGroup):
        def get_command(self, ctx: Any, cmd_name: str) -> Any:
            return super().get_command(ctx, cmd_name) or _slow().get_command(ctx, cmd_name)

        def list_commands(self, ctx: Any) -> list[str]:
            return [*super().list_commands(ctx), *_slow().list_commands(ctx)]

    def _slow() -> Any:
        return typer.main.get_group(import_module(module).app)

    return Group
