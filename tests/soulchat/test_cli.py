"""The `soulchat` command: quick to answer, and one line where the input is bad."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from soulchat import __version__, cli


def run_soulchat(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from soulchat.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def cpu_seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_help_names_every_room_and_costs_little() -> None:
    before = cpu_seconds_of_children()
    result = run_soulchat("--help")
    middle = cpu_seconds_of_children()
    subprocess.run([sys.executable, "-c", "import datasets"], check=True)
    assert result.returncode == 0
    # Whose import is most of the cost, and varies with what else the machine does.
    assert middle - before < cpu_seconds_of_children() - middle + 0.4
    rooms = typer.main.get_command(cli.app)
    assert set(rooms.commands) >= {
        "corpus",
        "benchmark",
        "publish",
        "rate",
        "chat",
        "app",
        "serve",
        "convert",
        "train",
        "score",
        "env",
        "export",
    }
    for name in rooms.commands:
        assert f" {name} " in result.stdout


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("chat", "chatglm-6bb"), "chatglm-6bb is no folder; allowed: a model's folder, or USER/NAME on the Hub"),
        (
            ("export", "chatglm-6bb", "out"),
            "chatglm-6bb is no folder; allowed: a model's folder, or USER/NAME on the Hub",
        ),
        (("train", "demos"), "recipe is 'demos'; allowed: a YAML file, or one that ships: causal, demo, dpo"),
        (("train",), "the recipe is missing; allowed: a YAML file, or one that ships: causal, demo, dpo"),
        (("train", "lora", "--seed", "1", "--model_name_or_path=chatglm-6bb"), "chatglm-6bb is no folder; allowed: "),
        (("train", "recipe.yaml"), "models/chatglm/6b is no folder; allowed: "),
    ],
)
def test_a_misspelt_name_is_told_before_torch_is_loaded(words: tuple[str, ...], line: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("model_name_or_path: models/chatglm/6b")
    code = "import sys; from soulchat.cli import main\ntry: main()\nfinally: print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "False\n")
    assert done.stderr.startswith(f"soulchat: error: {line}")


@pytest.mark.parametrize("word", ["version", "--version"])
def test_version(word: str) -> None:
    assert run_soulchat(word).stdout.strip() == __version__


def test_a_short_flag_asks_for_help() -> None:
    assert "Usage: " in run_soulchat("-h").stdout
    assert "Usage: " in run_soulchat("corpus", "convert", "-h").stdout


def test_a_shell_can_be_taught_to_complete() -> None:
    command = [sys.executable, "-c", "from soulchat.cli import main; main()", "--show-completion", "bash"]
    shown = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
    )
    assert "complete" in shown.stdout


def test_ctrl_c_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def wait() -> None:
        raise KeyboardInterrupt

    interrupted = typer.Typer()
    interrupted.command()(wait)
    monkeypatch.setattr(cli, "app", interrupted)
    monkeypatch.setattr(sys, "argv", ["soulchat"])
    with pytest.raises(SystemExit):
        cli.main()
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("asked for X, found Y"), "soulchat: error: asked for X, found Y"),
        (OSError("no model\nof that name"), "soulchat: error: no model of that name"),
        (FileNotFoundError(2, "No such file or directory", "a.json"), "a.json"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), "torch is not installed"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    error: Exception, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    failing = typer.Typer()
    failing.command()(fail)
    monkeypatch.setattr(cli, "app", failing)
    monkeypatch.setattr(sys, "argv", ["soulchat"])
    with pytest.raises(SystemExit) as exit_info:
        cli.main()
    captured = capsys.readouterr()
    assert exit_info.value.code == 2
    assert line in captured.err
    assert len(captured.err.splitlines()) == 1


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise KeyError("bug")

    failing = typer.Typer()
    failing.command()(fail)
    monkeypatch.setattr(cli, "app", failing)
    monkeypatch.setattr(sys, "argv", ["soulchat"])
    with pytest.raises(KeyError):
        cli.main()
