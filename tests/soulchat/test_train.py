"""`soulchat train`: the words reach the trainer, help included, and its refusals are a line.

What is told before torch is loaded, a misspelt recipe or model, is in `test_cli.py`.
"""

import subprocess
import sys

import pytest


def run_soulchat(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from soulchat.cli import main; main()", "train", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_help_is_the_trainers() -> None:
    assert "--max_source_length 1536" in run_soulchat("--help").stdout


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("demo", "--no_such_flag", "1"), "unknown arguments --no_such_flag 1"),
        (("demo", "--processes", "0"), "processes (--processes) is 0; allowed: 1 or more"),
    ],
)
def test_what_is_wrong_is_one_line(words: tuple[str, ...], line: str) -> None:
    done = run_soulchat(*words)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"soulchat: error: {line}")
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_several_processes_end_with_the_line_and_code_of_one() -> None:
    done = run_soulchat("demo", "--processes", "2", "--use_cpu", "--no_such_flag", "1")
    assert done.returncode == 2
    assert done.stderr.count("soulchat: error: unknown arguments --no_such_flag 1") == 1
    assert "Traceback" not in done.stderr
