"""`soulchat train RECIPE`: a run of training, in this process or in several that accelerate starts."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from soulchatcorpus.files import parse_yaml

RECIPES = Path(__file__).parents[1] / "soulchat_trainer" / "recipes"


def train(
    context: typer.Context,
    recipe: Annotated[str, typer.Argument(help="A recipe that ships, such as demo, or a YAML file.")] = "",
    processes: Annotated[int, typer.Option(help="Processes on this machine, one for each GPU.")] = 1,
) -> None:
    """Train, evaluate and describe as a recipe says; further flags override the recipe."""
    if processes < 1:
        raise ValueError(f"processes is {processes}; allowed: 1 or more")
    if os.environ.get("RANK", "0") == "0":  # one of several processes tells what is wrong
        check_names(recipe, context.args)
    if processes == 1:
        from soulchat_trainer.train import run

        run([recipe, *context.args])
    else:
        _launch(processes, [recipe, *context.args])


def check_names(recipe: str, flags: Sequence[str]) -> None:
    """Look for the recipe and for the model that it or a flag names, without loading torch.

    Raises:
        ValueError: the recipe neither ships nor is a file.
        OSError: the model is neither a folder nor on the Hub.
    """
    if recipe.startswith("-") or {"-h", "--help"} & set(flags):
        return
    shipped = {path.stem: path for path in sorted(RECIPES.glob("*.yaml"))}
    path = shipped.get(recipe, Path(recipe))
    if not path.is_file():
        found = f"recipe is {recipe!r}" if recipe else "the recipe is missing"
        raise ValueError(f"{found}; allowed: a YAML file, or one that ships: {', '.join(shipped)}")
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--model_name_or_path", "--model-name-or-path", nargs="?", default=_model_of(path))
    name = parser.parse_known_args(flags)[0].model_name_or_path
    if name is not None:
        from hub_cards.model_name import check_model_name

        check_model_name(name)


def _model_of(recipe: Path) -> str | None:
    """The model that a recipe names; what else is wrong with the file is for the trainer to say."""
    try:
        values = parse_yaml(recipe.read_bytes())
    except ValueError:
        return None
    name = values.get("model_name_or_path") if isinstance(values, dict) else None
    return name if isinstance(name, str) else None


def _launch(processes: int, words: list[str]) -> None:
    """What `accelerate launch` does, without its words about defaults and its traceback."""
    from accelerate.commands.launch import launch_command, launch_command_parser
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    how = f"--multi_gpu --num_processes {processes} --num_machines 1 --mixed_precision no --dynamo_backend no".split()
    try:
        launch_command(launch_command_parser().parse_args([*how, "-m", "soulchat_trainer.train", *words]))
    except ChildFailedError as error:  # the process has told why
        raise typer.Exit(error.get_first_failure()[1].exitcode) from None


def register(app: typer.Typer) -> None:
    """Add the verb to the command; flags that it does not know are the trainer's, `--help` among them."""
    app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []})(
        train
    )
