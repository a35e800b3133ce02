"""Flags out of a model of options, and the names of flags in errors."""

from typing import Annotated, Literal

import pytest
import typer
from pydantic import BaseModel, ConfigDict, Field
from typer.testing import CliRunner

from soulchat import cli
from soulchat.flags import name_flags, taking


class Bake(BaseModel):
    model_config = ConfigDict(strict=True)

    flour: str
    max_heat: float = Field(default=180.0, description="In degrees.")
    fan: bool = True
    salted: bool = False
    crust: Literal["thin", "thick"] = "thin"
    eggs: int | None = None
    toppings: dict[str, str] = {}
    spice: list[str] = []


def bake(*arguments: str):
    app, made = typer.Typer(), []

    @app.command()
    @taking(Bake)
    def bake(oven: str, hurry: Annotated[bool, typer.Option("--hurry")] = False, *, options: Bake) -> None:
        """Bake something."""
        made.append((oven, hurry, options))

    return CliRunner().invoke(app, [*arguments], env={"COLUMNS": "150"}), made


def test_what_is_not_given_has_the_model_s_default():
    result, made = bake("old", "--flour", "rye")
    assert result.exit_code == 0, result.output
    assert made == [("old", False, Bake(flour="rye"))]


def test_every_kind_of_field_has_its_flag():
    flags = ["--max-heat", "200", "--no-fan", "--salted", "--crust", "thick", "--eggs", "2", "--hurry"]
    _, made = bake(
        "old", "--flour", "7", *flags, "--topping", "a=b=c", "--topping", "d=", "--spice", "x", "--spice", "y"
    )
    wanted = Bake(
        flour="7",
        max_heat=200.0,
        fan=False,
        salted=True,
        crust="thick",
        eggs=2,
        toppings={"a": "b=c", "d": ""},
        spice=["x", "y"],
    )
    assert made == [("old", True, wanted)]


def test_the_help_shows_defaults_choices_and_descriptions():
    text = " ".join(bake("--help")[0].output.replace("│", " ").split())  # however wide the box is
    assert "In degrees. [default: 180.0]" in text
    assert "thin|thick" in text
    assert "--fan" in text
    assert "--no-fan" in text
    assert "--no-salted" not in text
    assert "Bake something." in text


@pytest.mark.parametrize(
    ("arguments", "message", "wanted"),
    [
        (
            ["corpus", "rewrite", "q.jsonl", "--max-cost", "1"],
            "max_cost is 1.0; allowed: with the `price` of m",
            "max_cost (--max-cost) is 1.0; allowed: with the price (--price) of m",
        ),
        (["corpus", "clean", "q"], "actions is a=b; allowed: c", "actions (--action) is a=b; allowed: c"),
        (["corpus", "review"], "the port is 5; allowed: 6", "the port is 5; allowed: 6"),
        (
            ["corpus", "run", "p.yaml"],
            "p.yaml: clean: tasks is 0; allowed: 1",
            "p.yaml: clean: tasks is 0; allowed: 1",
        ),
        (["nothing"], "port is 5; run `soulchat serve`", "port is 5; run `soulchat serve`"),
    ],
)
def test_errors_name_the_flags_of_the_command_that_was_called(arguments, message, wanted):
    assert name_flags(message, cli.app, arguments) == wanted
