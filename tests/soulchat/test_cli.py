"""The `soulchat` command: quick to answer, and one line where the input is bad."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

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
    assert middle - before < cpu_seconds_of_children() - middle  # it would be most of the cost
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


def test_a_misspelt_name_is_told_before_torch_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("model_name_or_path: models/chatglm/6b")
    no_folder = "is no folder; allowed: a model's folder, or USER/NAME on the Hub"
    shipped = "allowed: a YAML file, or one that ships: causal, demo, dpo, full-bf16, kto, lora,"
    told = {
        "chat chatglm-6bb": f"chatglm-6bb {no_folder}",
        "export chatglm-6bb out": f"chatglm-6bb {no_folder}",
        "train demos": f"recipe is 'demos'; {shipped}",
        "train": f"the recipe is missing; {shipped}",
        "train lora --seed 1 --model_name_or_path=chatglm-6bb": f"chatglm-6bb {no_folder}",
        "train lora --model_name_or_path chatglm-6bb --seed 1": f"chatglm-6bb {no_folder}",
        "train recipe.yaml": f"models/chatglm/6b {no_folder}",
    }
    code = (
        "import sys; from soulchat.cli import main\nfor words in sys.argv[1:]:\n"
        "    try: main(words.split())\n    except SystemExit as ended: print(ended.code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, *told], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "2 False\n" * len(told)
    for found, line in zip(done.stderr.splitlines(), told.values(), strict=True):
        assert found.startswith(f"soulchat: error: {line}")


def test_version() -> None:
    assert run_soulchat("--version").stdout.strip() == __version__
    assert CliRunner().invoke(cli.app, ["version"]).output.strip() == __version__


def test_a_short_flag_asks_for_help() -> None:
    for words in (["-h"], ["corpus", "convert", "-h"]):
        assert "Usage: " in CliRunner().invoke(cli.app, words).output


def test_a_shell_can_be_taught_to_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    assert "complete" in CliRunner().invoke(cli.app, ["--show-completion", "bash"]).output
    monkeypatch.setenv("_SOULCHAT_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "soulchat corpus con")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert CliRunner().invoke(cli.app, prog_name="soulchat").output.split() == ["convert"]


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
