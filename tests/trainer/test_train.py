"""The main path's own words: who speaks, and what is said at the end. The way itself: test_recipes, test_resume."""

import sys
from pathlib import Path

import pytest

from soulchat_trainer import train
from soulchat_trainer.checkpoints import NotFiniteError, NotSavedError
from soulchat_trainer.train import main, next_steps


def test_only_the_main_process_speaks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(SystemExit):
        main(["nothing"])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("error", [NotFiniteError, NotSavedError])
def test_what_another_process_finds_alone_it_tells(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def fail(argv: list[str]) -> None:
        raise error("only here")

    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr("soulchat_trainer.train.run_recipe", fail)
    with pytest.raises(SystemExit):
        main(["demo"])
    assert capsys.readouterr().err == "soulchat: error: only here\n"


def test_what_is_no_input_error_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(argv: list[str]) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(train, "run_recipe", fail)
    with pytest.raises(ZeroDivisionError):
        main(["demo"])


def test_three_commands_to_try_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they can be typed where the run was started."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv/bin/python"))
    head, *commands = next_steps("outputs/demo").splitlines()
    assert head == "Everything is in outputs/demo. Try next:"
    assert commands[:2] == ["  .venv/bin/soulchat chat outputs/demo", "  .venv/bin/soulchat app outputs/demo"]
    assert commands[2].startswith("  .venv/bin/soulchat benchmark run --model outputs/demo ")
    assert len(commands) == 3


@pytest.mark.parametrize(
    ("flag", "meaning"),
    [
        ("true", True),
        ("True", True),
        ("false", None),
        (None, None),
        ("outputs/x/checkpoint-4", "outputs/x/checkpoint-4"),
    ],
)
def test_what_resume_may_say(flag: str | None, meaning: str | bool | None) -> None:
    assert train._resume(flag) == meaning
