"""From `demo --max_steps 4` to arguments: a recipe by name or path, overridden by flags, all checked."""

import difflib
import json
from argparse import Action, ArgumentDefaultsHelpFormatter, Namespace
from collections.abc import Sequence
from dataclasses import fields
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn, get_args, get_origin, get_type_hints

from transformers import HfArgumentParser

from soulchatcorpus.files import parse_yaml

from .arguments import RunArguments, SoulChatTrainingArguments, refuse_workers
from .help import short_help

RECIPES = resources.files("soulchat_trainer.recipes")


class OneLineParser(HfArgumentParser):
    """Flags are the fields of both argument classes; what is wrong with them raises a ValueError of one line."""

    def __init__(self) -> None:
        self.takes_many: set[str] = set()
        self.has_off: set[str] = set()
        super().__init__(
            (RunArguments, SoulChatTrainingArguments),
            prog="train.py RECIPE",
            description="Train, evaluate and describe a model as a recipe says; flags override the recipe.",
            epilog=f"Recipes that ship: {', '.join(recipe_names())}; or the path of a YAML file.",
            formatter_class=ArgumentDefaultsHelpFormatter,
            allow_abbrev=False,
        )

    def add_argument(self, *names: Any, **settings: Any) -> Action:
        """The parent's; notes which flags take several words, and which the word `off`."""
        action = super().add_argument(*names, **settings)
        if action.nargs == "+":
            self.takes_many.add(action.dest)
        if "off" in (action.choices or ()):
            self.has_off.add(action.dest)
        return action

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)

    def read_values(self, values: dict[str, Any], flags: Sequence[str]) -> tuple[Namespace, list[str]]:
        """Parse the keys of a recipe and then the flags, both checked by the types of the fields; and what is left.

        What no flag can say, None and a list where a flag takes one word, becomes a default as it is where the field
        may be that.
        """
        hints = {name: hint for cls in self.dataclass_types for name, hint in get_type_hints(cls).items()}
        words: list[str] = []
        for key, value in values.items():
            if value is False and key in self.has_off:  # YAML reads a bare `off` so
                words.append(f"--{key}=off")
            elif key in self.takes_many and isinstance(value, list):
                words += [f"--{key}", *map(str, value)]
            elif isinstance(value, dict):
                words.append(f"--{key}={json.dumps(value, default=str)}")
            elif value is None or isinstance(value, list):
                hint = hints[key]
                if type(value) not in {get_origin(kind) or kind for kind in get_args(hint)}:
                    allowed = hint.__name__ if isinstance(hint, type) else hint
                    raise ValueError(f"{key} is {json.dumps(value, default=str)}; allowed: {allowed}")
                self.set_defaults(**{key: value})
            else:
                words.append(f"--{key}={value}")
        return self.parse_known_args(flags, self.parse_args(words))


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
        raise ValueError(f"recipe is {recipe!r}; allowed: a YAML file, or one that ships: {', '.join(recipe_names())}")
    try:
        values = parse_yaml(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"recipe {recipe} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"recipe {recipe} is a {type(values).__name__}; allowed: a mapping of keys to values")
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
        print(parser.format_help() if argv[-1] == "all" else short_help(recipe_names()))
        raise SystemExit(0)
    if not argv or argv[0].startswith("-"):
        raise ValueError(f"the recipe is missing; allowed first: a YAML file, or one of {', '.join(recipe_names())}")
    recipe, *flags = argv
    name = Path(recipe).stem
    chosen = {"output_dir": f"outputs/{name}", **read_recipe(recipe)}
    values, rest = parser.read_values(chosen, flags)
    if rest:
        raise ValueError(f"unknown arguments {' '.join(rest)}; --help lists the known ones")
    values.deepspeed = find_deepspeed_file(values.deepspeed)
    run_names = {field.name for field in fields(RunArguments)}
    run = RunArguments(**{key: value for key, value in vars(values).items() if key in run_names})
    if run.streaming:  # before the arguments, which would tell what is needed beside workers
        refuse_workers(vars(values))
    args = SoulChatTrainingArguments(**{key: value for key, value in vars(values).items() if key not in run_names})
    return name, run, args


def find_deepspeed_file(name: str | None) -> str | None:
    """The path of a DeepSpeed file, by the name of one that ships (zero2.json) or its path; JSON stays as it is.

    Raises:
        ValueError: there is no such file, or it is not JSON.
    """
    if name is None:
        return None
    folder = RECIPES / "deepspeed"
    shipped = sorted(path.name for path in folder.iterdir())
    if not name.startswith("{") and name not in shipped and not Path(name).is_file():
        raise ValueError(f"deepspeed is {name!r}; allowed: a file, or one that ships: {', '.join(shipped)}")
    if name in shipped:
        return str(folder / name)
    try:
        json.loads(name if name.startswith("{") else Path(name).read_bytes())
    except ValueError as error:
        raise ValueError(f"deepspeed {name} is not JSON: {error}") from error
    return name
