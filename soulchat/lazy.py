"""Groups of commands that are imported only when one of their verbs, or their help, is asked for."""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup


def lazy_group(module: str) -> type[TyperGroup]:
    """A group, for `typer.Typer(cls=…)`, with the verbs of the `app` in a module whose import is slow."""

    class LazyGroup(TyperGroup):
        def get_command(self, ctx: Any, cmd_name: str) -> Any:
            return super().get_command(ctx, cmd_name) or self._later().get_command(ctx, cmd_name)

        def list_commands(self, ctx: Any) -> list[str]:
            return [*super().list_commands(ctx), *self._later().list_commands(ctx)]

        def _later(self) -> Any:
            return typer.main.get_group(import_module(module).app)

    return LazyGroup
