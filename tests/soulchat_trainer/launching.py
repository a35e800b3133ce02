"""`train.py` in processes of its own, as people start it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.paths import ROOT

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")


def launch(folder: Path, processes: int, recipe: str, *flags: str) -> subprocess.Popen:
    """Start `train.py RECIPE` in a session of its own; it prints into folder/log.txt."""
    command = [sys.executable, "train.py", recipe, *flags]
    if processes > 1:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [
            *(sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={processes}"),
            *("--master-addr=127.0.0.1", f"--master-port={port}", *command[1:]),
        ]
    extensions = os.environ.get("TORCH_EXTENSIONS_DIR", str(Path.home() / ".cache/soulchat_torch_extensions"))
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "TORCH_EXTENSIONS_DIR": extensions},
        stdout=(folder / "log.txt").open("w"),  # a pipe that nobody reads would stop the run when it is full
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def kill_all(run: subprocess.Popen) -> None:
    """SIGKILL to the launcher and to its workers, which torchrun puts into sessions of their own."""
    workers = psutil.Process(run.pid).children(recursive=True)
    for process in [run, *workers]:
        process.send_signal(signal.SIGKILL)
    psutil.wait_procs(workers)
    run.wait()


def finish(run: subprocess.Popen, folder: Path) -> str:
    """Wait for a run to end well; what it printed."""
    run.wait(timeout=500)
    output = (folder / "log.txt").read_text()
    assert run.returncode == 0, output[-3000:]
    return output


def losses(output_dir: Path) -> dict[int, float]:
    """The logged losses of a finished run, by step."""
    log = json.loads((output_dir / "trainer_state.json").read_text())["log_history"]
    return {entry["step"]: entry["loss"] for entry in log if "loss" in entry}
