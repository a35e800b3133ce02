"""Where the command starts: Ctrl-C is a line before anything is imported, and launchers find the same command."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.paths import ROOT

HEAR_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"


def test_ctrl_c_while_packages_are_imported_is_one_line() -> None:
    command = [sys.executable, "-c", f"{HEAR_CTRL_C}; from soulchat_command import main; main(['--version'])"]
    run = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while "/numpy/" not in Path(f"/proc/{run.pid}/maps").read_text():  # the first of what takes long
        assert run.poll() is None
        time.sleep(0.005)
    run.send_signal(signal.SIGINT)
    printed, told = run.communicate(timeout=60)
    assert (run.returncode, printed, told) == (130, "", "soulchat: interrupted\n")


@pytest.mark.parametrize("asked", ["SIG_IGN", "default_int_handler"])
def test_what_hears_ctrl_c_afterwards_is_as_before(asked: str) -> None:
    code = (
        f"import signal; signal.signal(signal.SIGINT, signal.{asked}); from soulchat_command import main\n"
        f"try: main(['--version'])\nfinally: print(signal.getsignal(signal.SIGINT) == signal.{asked})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1:] == ["True"]


def test_train_py_is_the_verb() -> None:
    code = (
        "import sys, runpy\ntry: runpy.run_path('train.py', run_name='__main__')\n"
        "finally: print('torch' in sys.modules)"
    )
    words = ["lora", "--model_name_or_path", "chatglm-6bb"]
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "False\n")
    assert done.stderr.startswith("soulchat: error: chatglm-6bb is no folder; allowed: ")


@pytest.mark.slow
def test_accelerate_adds_no_traceback_when_it_is_asked_to_be_quiet() -> None:
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--quiet", "train.py", "demos"]
    done = subprocess.run(launch, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "soulchat: error: recipe is 'demos'; allowed: a YAML file" in done.stderr
    assert "Traceback" not in done.stderr
