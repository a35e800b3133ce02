"""`soulchat train RECIPE`: a run of training, in this process or in several that accelerate starts."""

from pathlib import Path
from typing import Annotated

import typer

RECIPES = Path(__file__).parents[1] / "soulchat_trainer" / "recipes"


def train(
    context: typer.Context,
    recipe: Annotated[str, typer.Argument(help="A recipe that ships, such as demo, or a YAML file.")],
    processes: Annotated[int, typer.Option(help="Processes on this machine, one for each GPU.")] = 1,
) -> None:
    """Train, evaluate and describe as a recipe says; further flags override the recipe."""
    if processes < 1:
        raise ValueError(f"processes is {processes}; allowed: 1 or more")
    check_recipe(recipe)
    if processes == 1:
        from soulchat_trainer.train import run

        run([recipe, *context.args])
    else:
        _launch(processes, [recipe, *context.args])


def check_recipe(recipe: str) -> None:
    """Raises ValueError for what is neither a recipe that ships nor a file, without loading torch."""
    if recipe.startswith("-") or Path(recipe).is_file():
        return
    names = sorted(path.stem for path in RECIPES.glob("*.yaml"))
    if recipe not in names:
        raise ValueError(f"recipe is {recipe!r}; allowed: a YAML file, or one that ships: {', '.join(names)}")


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
