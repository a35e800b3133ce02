"""From `demo --max_steps 4` to arguments: a recipe by name or path, overridden by flags, all checked."""

import difflib
from argparse import HelpFormatter
from collections.abc import Sequence
from dataclasses import fields
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn

import yaml
from transformers import HfArgumentParser

from .arguments import RunArguments, SoulChatTrainingArguments

RECIPES = resources.files("soulchat_trainer.recipes")


class OneLineParser(HfArgumentParser):
    """Flags are the fields of both argument classes; what is wrong with them raises a ValueError of one line."""

    def __init__(self) -> None:
        super().__init__(
            (RunArguments, SoulChatTrainingArguments),
            prog="train.py RECIPE",
            description="Train, evaluate and describe a model as a recipe says; flags override the recipe.",
            epilog=f"Recipes that ship: {', '.join(recipe_names())}; or the path of a YAML file.",
            formatter_class=HelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def recipe_names() -> list[str]:
    """Names of the recipes that ship."""
    return sorted(path.name.removesuffix(".yaml") for path in RECIPES.iterdir() if path.name.endswith(".yaml"))


def read_recipe(recipe: str) -> dict[str, Any]:
    """The keys of a recipe, by the name of one that ships or the path of a YAML file.

    DeepSpeed files may be named as they ship (`deepspeed: zero2.json`).

    Raises:
        ValueError: there is no such recipe, it is no YAML mapping, or it has an unknown key.
    """
    shipped = recipe in recipe_names()
    path = RECIPES / f"{recipe}.yaml" if shipped else Path(recipe)
    if not path.is_file():
        raise ValueError(f"recipe {recipe!r} is neither a file nor one that ships: {', '.join(recipe_names())}")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"recipe {recipe} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise ValueError(f"recipe {recipe} must be a mapping of keys to values, found {type(values).__name__}")
    known = {f.name for cls in (RunArguments, SoulChatTrainingArguments) for f in fields(cls) if f.init}
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=3) or ["the fields of SoulChatTrainingArguments"]
            raise ValueError(f"recipe {recipe} has an unknown key {key!r}; allowed near it: {', '.join(near)}")
    return values


def parse_arguments(argv: Sequence[str]) -> tuple[str, RunArguments, SoulChatTrainingArguments]:
    """Recipe name, what to train, and how, from the command line.

    Raises:
        ValueError: no recipe, an unknown key or flag, or a value that does not fit its field.
    """
    parser = OneLineParser()
    if any(flag in argv for flag in ("-h", "--help")):
        parser.print_help()
        raise SystemExit(0)
    if not argv or argv[0].startswith("-"):
        raise ValueError(f"the first argument must be a recipe, a YAML file or one of {', '.join(recipe_names())}")
    recipe, *flags = argv
    values = read_recipe(recipe)
    name = Path(recipe).stem
    parser.set_defaults(**{"output_dir": f"outputs/{name}", **values})
    run, args, rest = parser.parse_args_into_dataclasses(
        flags, return_remaining_strings=True, look_for_args_file=False
    )
    if rest:
        raise ValueError(f"unknown arguments {' '.join(rest)}; --help lists the known ones")
    return name, run, args
