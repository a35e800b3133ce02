"""Flags of a command, made of a pydantic model of its options; and what an option's flag is called, in errors."""

import inspect
import re
from collections.abc import Callable, Sequence
from functools import wraps
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer.core import TyperGroup

Command = Callable[..., None]


def taking(model: type[BaseModel]) -> Callable[[Command], Command]:
    """Give a command a flag for each field of `model`; its parameter `options` gets the model that they make.

    A flag has the field's name, type, default and description. A dict is given pair by pair: `actions` of
    {"special": "drop"} is `--action special=drop`.
    """

    def decorate(command: Command) -> Command:
        @wraps(command)
        def called(**given: Any) -> None:
            values = {name: given.pop(name) for name in model.model_fields}
            for name, value in values.items():
                if value and get_origin(_kind(model.model_fields[name])) is dict:
                    values[name] = dict(pair.partition("=")[::2] for pair in value)
            command(**given, options=model(**{name: value for name, value in values.items() if value is not None}))

        own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "options"]
        made = [_parameter(name, field) for name, field in model.model_fields.items()]
        called.__signature__ = inspect.Signature([*own, *made])  # type: ignore[attr-defined]
        return called

    return decorate


def _kind(field: FieldInfo) -> Any:
    """The type of a field, None aside."""
    kinds = get_args(field.annotation) if get_origin(field.annotation) in (Union, UnionType) else (field.annotation,)
    return next(kind for kind in kinds if kind is not NoneType)


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    """What typer makes a flag of; None stands for a default that is empty."""
    kind, flag, metavar = _kind(field), f"--{name.replace('_', '-')}", None
    if kind is bool and field.default:
        flag = f"{flag}/--no-{flag.removeprefix('--')}"
    elif get_origin(kind) is dict:
        kind, flag = list[str], flag.removesuffix("s")
    elif get_origin(kind) is Literal:
        kind, metavar = str, "|".join(get_args(kind))
    default = inspect.Parameter.empty if field.is_required() else field.default or None
    if default is None and kind is not bool:
        kind = kind | None
    option = typer.Option(flag, help=field.description, metavar=metavar)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])


def name_flags(message: str, app: typer.Typer, arguments: Sequence[str]) -> str:
    """An error with the flags of the options that it names, for the command that `arguments` call.

    `concurrency is 0; allowed: 1 or more` becomes `concurrency (--concurrency) is 0; allowed: 1 or more`. Python and
    pipeline files know options by their names, so the errors do. One is named at the start of a message or in `…`.
    """
    command = typer.main.get_command(app)
    for word in arguments:
        if isinstance(command, TyperGroup):
            command = command.get_command(typer.Context(command), word) or command
    flags = {param.name: flag for param in command.params for flag in param.opts if flag.startswith("--")}
    return re.sub(
        r"^(\w+)(?= (?:is|holds|has) )|`(\w+)`",
        lambda found: f"{name} ({flags[name]})" if (name := found[1] or found[2]) in flags else found[0],
        message,
    )
